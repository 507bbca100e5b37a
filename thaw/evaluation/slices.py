"""Parts of the test images by what they are like, and where a network does worse than elsewhere."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from thaw.evaluation.metrics import DIGITS, wilson

LEAST = 10  # images in a part, and outside it
QUARTERS = (0.25, 0.5, 0.75)
SIGNIFICANT = 0.05  # corrected p values under it are hardly chance
SQUARE = 1.1  # longer by shorter side, up to which an image counts as square
FEW = 8  # values of a column that are parts of their own, also where they are numbers
NO_COLUMNS = pd.DataFrame(columns=["path"])
NUMBERS = ("images", "accuracy", "low", "high", "rest", "p_value")  # columns of the table
COLUMNS = ("format", "mode", "group")  # of the manifest, taken as they are


class Brightness:
    """Notes how bright images are while they pass, so that none is decoded for it."""

    def __init__(self):
        self.values: list[float] = []

    def noted(self, batches: Iterable[tuple[slice, np.ndarray]]) -> Iterator:
        """Yield batches of rows and pixels (k, h, w, 3), 0..255, and note the mean of each image.

        After the last one `values` has them in order, 0 to 255.
        """
        for rows, pixels in batches:
            self.values += pixels.mean(axis=(1, 2, 3)).tolist()
            yield rows, pixels


def parts(
    rows: pd.DataFrame, brightness: list[float], columns: pd.DataFrame = NO_COLUMNS
) -> pd.DataFrame:
    """Return the part that each image belongs to, as text; a column for each way to cut.

    `rows`: of the manifest; `brightness`: of each, 0 to 255; `columns`: path, and what else to cut
    by, as text. "" is of no part. Numbers are cut at their quartiles, sizes by the shorter side. A
    folder is what the path has besides the class.
    """
    sides = rows[["width", "height"]].astype(int)
    ratio = sides["width"] / sides["height"]
    wide, tall = ratio > SQUARE, ratio < 1 / SQUARE
    labels = set(rows["label"])
    found = {
        "size": _quarters(sides.min(axis=1).to_numpy(), " px"),
        "shape": np.select([wide, tall], ["wide", "tall"], "square"),
        "brightness": _quarters(np.round(brightness).astype(int), " of 255"),
        "folder": [_folder(path, labels) for path in rows["path"]],
        **{name: rows[name].to_numpy() for name in COLUMNS},
    }
    further = rows[["path"]].merge(columns, "left", "path").drop(columns="path").fillna("")
    return pd.DataFrame(found | {f"column {name}": _cut(further[name]) for name in further})


def _cut(cells: pd.Series) -> np.ndarray:
    """Return text as it is, and numbers of more than FEW values by their quarters."""
    known, numbers = cells != "", pd.to_numeric(cells, errors="coerce")
    found = cells.to_numpy(object)
    if numbers[known].notna().all() and numbers.nunique() > FEW:
        found[known] = _quarters(numbers[known].to_numpy("float64"), "")
    return found


def _quarters(values: np.ndarray, unit: str) -> np.ndarray:
    """Name each number's quarter, such as "up to 240 px", "240 to 320 px", with the upper end."""
    edges = np.unique(np.quantile(values, QUARTERS, method="lower"))
    first, last = f"up to {edges[0]:.12g}{unit}", f"over {edges[-1]:.12g}{unit}"
    between = [f"{low:.12g} to {high:.12g}{unit}" for low, high in pairwise(edges)]
    return np.array([first, *between, last])[np.searchsorted(edges, values)]


def _folder(path: str, labels: set[str]) -> str:
    """Return the folders above an image but those of a class, also where it was relabelled."""
    return "/".join(part for part in PurePosixPath(path).parent.parts if part not in labels)


def table(parts: pd.DataFrame, correct: np.ndarray, confidence: float) -> pd.DataFrame:
    """Return the accuracy of each part of at least LEAST images, the most doubtful first.

    `parts`: text, as `parts` gives it; `correct`: bool (n,). Columns: by, part, images, accuracy,
    low and high (Wilson's interval), rest (the accuracy of all others), and p_value: of Fisher's
    exact test that the part is no worse than the rest, times what Holm's method asks for the number
    of parts looked at (Holm 1979). It bounds the chance that any of them looks so bad by accident,
    also where parts overlap.
    """
    from scipy.stats import fisher_exact  # which takes half a second to load

    found = []
    for name in parts:
        sizes = parts[name].value_counts()
        for part in sorted(set(sizes.index[sizes >= LEAST]) - {""}):
            inside = (parts[name] == part).to_numpy()
            images, others = int(inside.sum()), int((~inside).sum())
            if others < LEAST:
                continue
            right, elsewhere = int(correct[inside].sum()), int(correct[~inside].sum())
            counts = [[right, images - right], [elsewhere, others - elsewhere]]
            p_value = fisher_exact(counts, "less").pvalue
            bounds = wilson(right, images, confidence)
            found.append([name, part, images, right / images, *bounds, elsewhere / others, p_value])
    scored = pd.DataFrame(found, columns=["by", "part", *NUMBERS])
    scored = scored.sort_values(["p_value", "accuracy"], ignore_index=True, kind="stable")
    corrected = _holm(scored["p_value"].to_numpy("float64"))
    scored = scored.round(DIGITS)
    scored["p_value"] = [float(f"{value:.{DIGITS}g}") for value in corrected]
    return scored


def _holm(p_values: np.ndarray) -> np.ndarray:
    """Return ascending p values, each corrected for all of them."""
    return np.maximum.accumulate(p_values * np.arange(len(p_values), 0, -1)).clip(max=1)
