"""The learning curves that a training leaves, by epoch."""

from pathlib import Path

import numpy as np
import pandas as pd

from thaw.project import files


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
    table = files.read_csv(file, sep="\t", dtype="float64")
    if len(table.columns) != 2 or "step" not in table or not np.isfinite(table["step"]).all():
        raise files.damaged(file, "it has no epochs with a number each")
    return table.astype({"step": int}).set_index("step").iloc[:, 0]
