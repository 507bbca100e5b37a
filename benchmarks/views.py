"""How much cached views help the head: `python -m benchmarks.views FOLDER_OR_ARCHIVE --size 160`.

Trains the head of params.yaml on the source's training pictures without and with `--views` cached
views of each, with the same `--seeds` each, alternating, and scores it on all of the source's
validation pictures, as benchmarks.backbones does it. The pictures vary by what AUGMENTATION says.
Writes benchmarks/views.json.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

import stages.lib.quiet  # noqa: F401  first, before Keras
from benchmarks.backbones import extract, score
from benchmarks.photos import unpacked
from stages.lib import augmenting, backbones, features, files, layout
from stages.lib.errors import run

AUGMENTATION = augmenting.Augmentation(
    flip="horizontal", rotation=0.05, shift=0.0, zoom=0.1, shear=0.0, brightness=0.1, contrast=0.1,
    fill="nearest",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--name", default="EfficientNetLite0")
    parser.add_argument("--views", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    spec = backbones.Backbone(name=options.name, weights="imagenet", image_size=options.size)
    with unpacked(options.source) as root, tempfile.TemporaryDirectory() as folder:
        found, _ = layout.find(root)
        split = np.array([each.given for each in found])
        truth = pd.Categorical([each.label for each in found]).codes.astype("int32")
        paths, train = [each.path for each in found], np.flatnonzero(split == "train")
        inputs = extract(spec, paths, Path(folder) / "plain")
        trained = [paths[row] for row in train]
        digests = [files.sha256(path) for path in trained]
        views = augmenting.views_of(digests, options.views, AUGMENTATION)
        views = extract(spec, trained, Path(folder) / "varied", views)
        rows = []
        for seed in range(1, options.seeds + 1):
            for count in (0, options.views):
                varied = features.Varied(inputs, views, train, seed) if count else None
                began = time.perf_counter()
                best = score(inputs, truth, split, Path(folder) / "log", seed, varied)
                rows.append({"views": count, "seed": seed, **best})
                rows[-1]["seconds"] = round(time.perf_counter() - began, 1)
    Path("benchmarks/views.json").write_text(json.dumps(rows, indent=2) + "\n")
    print(table(pd.DataFrame(rows)))


def table(rows: pd.DataFrame) -> str:
    """Return mean and standard deviation over the seeds, as a Markdown table."""
    lines = ["| views | validation accuracy | validation loss | best epoch |", "| --- " * 4 + "|"]
    for views, of_seeds in rows.groupby("views"):
        cells = [
            f"{of_seeds[name].mean():.4f} ± {of_seeds[name].std():.4f}"
            for name in ("accuracy", "loss")
        ]
        lines.append(f"| {views} | {' | '.join(cells)} | {of_seeds['epoch'].mean():.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    run(main)
