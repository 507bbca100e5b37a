"""List the networks that `backbone.name` knows.

Prints their own and smallest image size, what becomes of the pixels first, how many weights they
have without the top, and their published accuracy on ImageNet.
"""

from thaw.models.registry import NETWORKS
from thaw.project.cli import run

WEIGHTS = {"torch": "mean, deviation", "tf": "-1..1", "caffe": "BGR - mean"}


def main() -> None:
    print(f"{'name':<18} {'size':>4} {'smallest':>8}  {'pixels':<16} {'weights':>11} {'top-1':>6}")
    for name, network in sorted(NETWORKS.items()):
        pixels = WEIGHTS.get(network.preprocess, "by itself")
        print(
            f"{name:<18} {network.size:>4} {network.smallest:>8}  {pixels:<16} "
            f"{network.parameters:>11,} {network.top1:>5.1f}%"
        )


if __name__ == "__main__":
    run(main)
