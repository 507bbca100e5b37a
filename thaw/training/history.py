"""The learning curves that a training leaves, by epoch."""

from pathlib import Path

import pandas as pd

from thaw.project.errors import UserError


def read(folder: Path) -> pd.DataFrame:
    """Return a DVCLive log by epoch: columns train/loss, validation/loss, train/accuracy, ...

    Raises UserError when a file of it is damaged.
    """
    plots = folder / "plots/metrics"
    columns = {
        f"{file.parent.name}/{file.stem}": _read_column(file)
        for file in sorted(plots.rglob("*.tsv"))
    }
    return pd.DataFrame(columns).rename_axis("epoch")


def _read_column(file: Path) -> pd.Series:
    try:
        table = pd.read_csv(file, sep="\t", index_col="step", dtype="float64")
        return table.set_axis(table.index.astype(int)).iloc[:, 0]
    except (ValueError, IndexError) as error:  # of pandas
        raise UserError(f"{file} is damaged ({error}); run `dvc repro`") from None
