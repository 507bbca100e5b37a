"""What a person decides of images, in the table that `data.corrections` names."""

import threading
from pathlib import Path

import pandas as pd

from thaw.data import corrections
from thaw.project import files, params, stage_run
from thaw.sources.settings import Data
from tools import recipe

DEFAULT = "images/corrections.csv"
_turn = threading.Lock()  # as a page may be open twice


def place() -> Path:
    """Return the table of the current project, or where it will be."""
    return Path(params.load(Data, "data").corrections or DEFAULT)


def of_digests(digests: pd.Series) -> list[dict[str, str] | None]:
    """Return the decision and the label of each file by its digest, None where there is none."""
    table = corrections.read(place()).set_index("digest")[["decision", "label"]]
    known = table.to_dict("index")
    return [known.get(digest) for digest in digests]


def decide(path: str, digest: str, source_label: str, label: str | None) -> dict[str, str]:
    """Note the right label of an image, None to leave it out; return the decision and the label.

    `source_label`: what the source says. params.yaml names the table from the first decision on.
    Raises UserError while a stage runs, which reads params.yaml, and what `corrections.read` does;
    then nothing is written.
    """
    if label is None:
        decision = corrections.LEAVE_OUT
    else:
        decision = corrections.KEEP if label == source_label else corrections.RELABEL
    if params.load(Data, "data").corrections is None:
        corrections.read(Path(DEFAULT))  # so that no table is named that stages refuse
        with stage_run.alone():
            recipe.change({"data": {"corrections": DEFAULT}})
    row = [path, digest, label or "", decision]
    _write(digest, pd.DataFrame([row], columns=corrections.COLUMNS))
    return {"decision": decision, "label": label or ""}


def take_back(digest: str) -> None:
    """Forget what was decided of an image."""
    _write(digest, pd.DataFrame(columns=corrections.COLUMNS))


def _write(digest: str, rows: pd.DataFrame) -> None:
    """Put rows in the place of that of a digest, if there is one, at the end of the table."""
    with _turn:
        table = corrections.read(place())
        files.write_csv(place(), pd.concat([table[table["digest"] != digest], rows]))
