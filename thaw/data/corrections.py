"""Corrections of labels by a person: a table, and what it does to the images by their content.

A row has the path (for people; nothing goes by it), the SHA-256 digest of the file, a decision and
a label. `keep`: the image is right. `relabel`: it is of the class `label`. `leave_out`: it is not
used.
"""

import io
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from thaw.project import encoding
from thaw.project.errors import UserError

COLUMNS = ["path", "digest", "label", "decision"]
KEEP, RELABEL, LEAVE_OUT = DECISIONS = ("keep", "relabel", "leave_out")
KEY = "data.corrections"
NAMED = 5  # corrections of no image, each in its line


class Corrected(NamedTuple):
    """What corrections did.

    manifest: without what is left out, and with the right labels. images: those that changed, path,
    label (the source's) and corrected ("" where it is left out). kept: how many were found right.
    notes: a sentence for each correction of no image.
    """

    manifest: pd.DataFrame
    images: pd.DataFrame
    kept: int
    notes: list[str]

    @property
    def left_out(self) -> int:
        """How many images are left out."""
        return int((self.images["corrected"] == "").sum())


def read(file: Path) -> pd.DataFrame:
    """Return the table as text; it has no row where there is no file yet.

    Raises UserError that names the first row which cannot be meant.
    """
    if not file.is_file():
        return pd.DataFrame(columns=COLUMNS, dtype=str)
    try:
        text = encoding.decoded(file.read_bytes())
        table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    except (ValueError, pd.errors.ParserError) as error:  # also of bytes that are no text
        raise UserError(f"{file} is no table of text ({error})", KEY) from None
    if sorted(table) != sorted(COLUMNS):
        wanted = ", ".join(COLUMNS)
        raise UserError(f"{file} has the columns {', '.join(table)} and not {wanted}", KEY)
    table["digest"] = table["digest"].str.lower()
    for wrong, problem in (
        (~table["digest"].str.fullmatch("[0-9a-f]{64}"), "digest {digest!r} is no SHA-256"),
        (~table["decision"].isin(DECISIONS), f"{{decision!r}} is none of {', '.join(DECISIONS)}"),
        (table["digest"].duplicated(), "the digest {digest} is there twice"),
    ):
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            said = problem.format(**table.iloc[row].to_dict())
            raise UserError(f"{file}, row {row + 1}: {said}", KEY)
    return table[COLUMNS]


def apply(manifest: pd.DataFrame, name: str | None, classes: set[str]) -> Corrected:
    """Correct the images whose files have a digest in the table `name`, and copies of their pixels.

    `classes`: of the source. A new label can only be one of them, so that no slip of a pen becomes
    a class. Raises what `read` raises, and UserError for a label that is no class and for a class
    that loses its last image.
    """
    table = read(Path(name or ""))
    decision, label = _of_images(manifest, table)
    unknown = (decision == RELABEL) & ~label.isin(list(classes))
    if unknown.any():
        row = manifest[unknown].iloc[0]
        raise UserError(
            f"{row['path']} should become {label[unknown].iloc[0]!r}, which is no class of the "
            "source",
            KEY,
            f"a class begins with images of its own; there are {', '.join(sorted(classes)[:9])}",
        )
    left_out = decision == LEAVE_OUT
    relabelled = (decision == RELABEL) & (label != manifest["label"])
    images = manifest[["path", "label"]].assign(corrected=label.where(relabelled, ""))
    corrected = manifest.assign(label=manifest["label"].where(~relabelled, label))[~left_out]
    if lost := sorted(set(manifest["label"]) - set(corrected["label"])):
        raise UserError(
            f"the corrections take the last image from class {lost[0]!r}",
            KEY,
            "take one of them back, or the class out of the source",
        )
    return Corrected(
        corrected.reset_index(drop=True),
        images[left_out | relabelled].reset_index(drop=True),
        int((decision == KEEP).sum()),
        _notes(manifest, table, name),
    )


def _of_images(manifest: pd.DataFrame, table: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Return decision and label for each row of the manifest, "" where there is none.

    A copy with other bytes and the same pixels follows, or both would be under two classes.
    """
    by_digest = table.set_index("digest")
    decision = manifest["sha256"].map(by_digest["decision"]).astype(object)
    label = manifest["sha256"].map(by_digest["label"]).astype(object)
    changes, pixels = decision.isin([RELABEL, LEAVE_OUT]), manifest["pixel_sha256"]
    of_copy = (each.where(changes).groupby(pixels).transform("first") for each in (decision, label))
    decision, label = (own.fillna(copy) for own, copy in zip((decision, label), of_copy))
    return decision.fillna(""), label.fillna("")


def _notes(manifest: pd.DataFrame, table: pd.DataFrame, name: str | None) -> list[str]:
    """Name a table that is not there, and corrections of no image, of many the first ones."""
    if name and not Path(name).is_file():
        return [f"{name} is not there yet ({KEY}), so no label is corrected"]
    others = table[~table["digest"].isin(manifest["sha256"])]
    notes = [
        f"no image has the digest {row.digest[:12]}... of the correction of {row.path}"
        for row in others.head(NAMED).itertuples()
    ]
    more = len(others) - len(notes)
    return [*notes, *([f"and {more} more corrections of no image"] if more else [])]
