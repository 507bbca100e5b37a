"""Say what a few images of each class give: `python -m tools.few_shot`.

Fits the baseline of train_head's log, nearest neighbours and a ridge probe on the frozen features,
to 1, 5 and 10 training images of each class, several times to other ones, and scores it on the
validation images. Test images are not looked at. Takes seconds, and needs the features of the last
`dvc repro`.
"""

import argparse
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from tqdm import tqdm

from thaw.evaluation import baseline
from thaw.features import arrays
from thaw.project import paths
from thaw.project.cli import run
from thaw.project.errors import UserError
from tools.experiments.rows import Rows, read_rows
from tools.labelling import training_parts

SHOTS = (1, 5, 10)


def measure(rows: Rows, features: np.ndarray, parts: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Return each probe's validation accuracy after it was fitted to each of `parts`, (parts,)."""
    validation = np.flatnonzero(rows.split == "validation")
    truth, found = rows.classes[validation], []
    for part in tqdm(parts, desc="few_shot", unit=" fits", disable=None):
        predicted = baseline.predict(features, rows.classes, part, validation)
        found.append({name: (each == truth).mean() for name, each in predicted.items()})
    return {name: np.array([each[name] for each in found]) for name in found[0]}


def take(count: int) -> Callable[[int], int]:
    """Return what takes `count` images of a class, or all where there are fewer."""
    return lambda images: min(count, images)


def table(
    rows: Rows, shots: Sequence[int], drawn: list[list[np.ndarray]], features: np.ndarray
) -> str:
    """Return accuracy by images of each class, mean and standard deviation over draws.

    drawn: of each draw, the rows of each of `shots`. The last line is of all training images.
    """
    train = np.flatnonzero(rows.split == "train")
    found = measure(rows, features, [*(part for draw in drawn for part in draw), train])
    sizes = [len(part) for part in [*drawn[0], train]]
    columns = {
        "images per class": [*shots, "all"],
        "training images": [f"{size:,}" for size in sizes],
    }
    for name, accuracy in found.items():
        some = accuracy[:-1].reshape(len(drawn), len(shots)).T
        columns[name] = [*training_parts.written(some), f"{accuracy[-1]:.4f}".ljust(15)]
    return pd.DataFrame(columns).to_string(index=False)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shots", type=int, nargs="+", default=SHOTS, help="images of each class")
    parser.add_argument("--draws", type=int, default=5, help="how often to draw the images")
    options = parser.parse_args()
    training_parts.check_draws(options.draws)
    if min(options.shots) < 1:
        raise UserError("--shots should be at least 1")
    rows, shots = read_rows(), sorted(set(options.shots))
    features = arrays.load(paths.FEATURES, arrays.POOLING, len(rows.classes))
    takes = [take(count) for count in shots]
    drawn = [training_parts.draw(rows, takes, seed) for seed in range(options.draws)]
    print(table(rows, shots, drawn, features))


if __name__ == "__main__":
    run(main)
