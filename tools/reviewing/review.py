"""The review of a run: its images in the order in which a person should look at them."""

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image
from scipy.special import softmax
from tqdm import tqdm

from thaw.data import duplicates, manifest, value_range
from thaw.data.settings import Split
from thaw.features import arrays
from thaw.images.loader import prefetch
from thaw.images.settings import Decoding
from thaw.models import text_logits
from thaw.project import params, paths
from thaw.project.settings import Runtime
from tools.reviewing import image_quality, ranking
from tools.reviewing.ranking import Finding
from tools.serving import small_image


class Review(NamedTuple):
    """What is reviewed.

    rows: of the manifest, with split and source_label (before corrections). findings: of them,
    the worst first. classes: all of the run, sorted. decoding: of the images.
    """

    rows: pd.DataFrame
    findings: list[Finding]
    classes: list[str]
    decoding: Decoding

    def image(self, row: int, side: int) -> Image.Image:
        """Return the image of a row, at most `side` pixels a side.

        Raises FileNotFoundError where it is gone, and UserError where another one is in its place.
        """
        path, sha256 = self.rows[["path", "sha256"]].iloc[row]
        return small_image.read(paths.RAW / path, self.decoding, side, sha256)


def load(with_test: bool, count: int | None = None) -> Review:
    """Rank the training and validation images of the run in the current folder, at most `count`.

    with_test: the test images, too. Raises UserError when parts of the run are missing.
    """
    rows = manifest.read(paths.MANIFEST)
    split = manifest.read_split(paths.SPLIT, rows)
    features = arrays.load(paths.FEATURES, arrays.POOLING, len(rows))
    groups = duplicates.group(rows, params.load(Split, "split").near_duplicates).of
    decoding = value_range.of_set(params.load(Decoding, "images"), rows)
    seen = split.isin(manifest.SPLITS if with_test else ("train", "validation")).to_numpy()
    chosen = rows.assign(split=split, source_label=_source_labels(rows))[seen]
    chosen = chosen.reset_index(drop=True)
    poor = _poor(chosen, decoding)
    taken = arrays.take(features, np.flatnonzero(seen))
    findings = ranking.rank(chosen, taken, groups[seen], poor, _by_text(chosen, seen))
    return Review(chosen, findings[:count], manifest.classes(rows), decoding)


def _by_text(chosen: pd.DataFrame, seen: np.ndarray) -> np.ndarray | None:
    """Return probabilities of the classes of `chosen` by their texts, if the backbone knows any.

    `seen`: which rows of the manifest these are.
    """
    if not text_logits.kept(paths.TEXTS):
        return None
    import thaw.models.tf_setup  # noqa: F401  here, as it takes seconds; first, before Keras
    from thaw.models import texts

    print("reading the texts of the classes ...", flush=True)
    of_features = arrays.read_provenance(paths.FEATURES)
    logits = texts.of_classes(paths.TEXTS, of_features, np.unique(chosen["label"]))
    pooled = arrays.load(paths.FEATURES, text_logits.POOLING, len(seen))
    return softmax(logits(arrays.take(pooled, np.flatnonzero(seen))), axis=1)


def _source_labels(rows: pd.DataFrame) -> pd.Series:
    """Return the label of each image before corrections."""
    corrected = manifest.read_table(paths.CORRECTED).set_index("path")["label"].to_dict()
    own = [corrected.get(path, label) for path, label in zip(rows["path"], rows["label"])]
    return pd.Series(own, rows.index, dtype=str)


def _poor(rows: pd.DataFrame, decoding: Decoding) -> list[list[str]]:
    """Return what is poor about each image."""
    shapes = rows[["width", "height"]].astype(int).itertuples(index=False)
    files = manifest.image_paths(rows, paths.RAW)
    threads = params.load(Runtime, "runtime").threads
    seen = prefetch(functools.partial(_signs, decoding=decoding), files, threads)
    bar = tqdm(seen, total=len(files), desc="images", disable=None)
    return [signs + image_quality.odd_shape(*shape) for signs, shape in zip(bar, shapes)]


def _signs(file: Path, decoding: Decoding) -> list[str]:
    return image_quality.signs(small_image.read(file, decoding, image_quality.SIDE))
