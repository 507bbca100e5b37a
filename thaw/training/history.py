"""The learning curves that a training leaves, by epoch."""

from pathlib import Path

import pandas as pd


def read(folder: Path) -> pd.DataFrame:
    """Return a DVCLive log by epoch: columns train/loss, validation/loss, train/accuracy, ..."""
    plots = folder / "plots/metrics"
    columns = {
        f"{file.parent.name}/{file.stem}": pd.read_csv(file, sep="\t", index_col="step").squeeze(1)
        for file in sorted(plots.rglob("*.tsv"))
    }
    return pd.DataFrame(columns).rename_axis("epoch")
