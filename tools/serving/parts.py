"""Predictions of very many images, part by part into a folder, by tasks of Ray.

A part is a file of CSV with the rows of one shard. What was interrupted goes on with the parts that
are not there yet.
"""

import functools
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from thaw.features import frozen_backbone
from thaw.features.frozen_backbone import FrozenNetwork
from thaw.images.loader import ImageLoader
from thaw.project import engine, files
from thaw.project.errors import UserError
from thaw.project.settings import Runtime
from thaw.sources.settings import Data
from tools.serving import batch_predict, inputs, rows
from tools.serving.predictor import Predictor, Probabilities
from tools.serving.rows import Notes

FACTS = "parts.json"  # what the parts are of
NAME = "part-{:09}-{:09}.csv"  # its first place, and the one after its last


class Asked(NamedTuple):
    """What is asked of each image, and how it is read."""

    notes: Notes
    top: int
    loader: ImageLoader
    data: Data
    runtime: Runtime


def write(predictor: Predictor, places: Sequence[str], asked: Asked, folder: Path) -> int:
    """Write the predictions of `places`, paths of files, into `folder`; return how many
    are invalid.

    Raises UserError where the folder has parts of other images, another model or other options.
    """
    if any(map(inputs.is_address, places)):
        raise UserError("--engine ray takes files; download what addresses name before")
    _begin(predictor.frozen, places, asked, folder)
    trust = asked.notes.trust._replace(calibration=None)  # which is large, and not needed
    asked = asked._replace(
        notes=asked.notes._replace(trust=trust),
        runtime=asked.runtime.model_copy(update={"engine": "ray"}),
    )
    task = functools.partial(predict_shard, asked=asked)
    frozen = predictor.frozen
    prepare = functools.partial(
        frozen_backbone.unpacked, frozen.packed(), frozen.shapes, frozen.provenance
    )
    for part in missing(folder, len(places)):
        items = [(Path(place), place) for place in places[part]]
        for done, text in engine.map_shards(task, items, asked.runtime, prepare):
            name = NAME.format(part.start + done.start, part.start + done.stop)
            with files.replacing(folder / name) as partial:
                partial.write_text(text, encoding="utf-8", errors="surrogateescape", newline="")
    return sum(_errors(file) for file in _found(folder))


def predict_shard(items: Sequence[tuple[Path, str]], network: FrozenNetwork, asked: Asked) -> str:
    """Return the rows of CSV of images: where they are, and how they are called."""
    labels = asked.notes.labels
    probabilities = Probabilities(network.ready())
    predictor = Predictor("", labels, asked.loader, probabilities, None, asked.notes.trust)
    here = [str(path) for path, _ in items]
    found = batch_predict.predictions(predictor, here, asked.data, asked.runtime)
    named = (each._replace(place=name) for each, (_, name) in zip(found, items, strict=True))
    return "".join(rows.as_csv(named, asked.notes, asked.top, here))


def missing(folder: Path, count: int) -> list[slice]:
    """Return the runs of places, of `count` in all, that no part in `folder` has yet."""
    found, start = [], 0
    for file in _found(folder):
        first, stop = map(int, re.findall(r"\d+", file.name))
        if first > start:
            found.append(slice(start, first))
        start = max(start, stop)
    return [*found, slice(start, count)] if start < count else found


def _found(folder: Path) -> list[Path]:
    return sorted(folder.glob("part-*.csv"))


def _errors(file: Path) -> int:
    """Return how many images of a part are invalid; their paths may be of any bytes."""
    table = pd.read_csv(file, usecols=["error"], encoding_errors="surrogateescape")
    return int(table["error"].notna().sum())


def _begin(network: FrozenNetwork, places: Sequence[str], asked: Asked, folder: Path) -> None:
    """Note in `folder` what its parts are of, or hold what it has against that."""
    listed = hashlib.sha256("\n".join(places).encode("utf-8", "surrogateescape")).hexdigest()
    facts = {"images": len(places), "images_sha256": listed, "top": asked.top}
    facts |= {"coverage": asked.notes.limit, "model": network.provenance}
    facts |= {"decoding": asked.loader.decoding.model_dump(), "trust": asked.notes.trust[:2]}
    facts |= {"refused": [asked.data.min_side, asked.data.max_megapixels]}
    file = folder / FACTS
    if not file.exists():
        if _found(folder):
            raise UserError(f"{file} is missing", hint="name a new folder as --out")
        files.write_json(file, facts)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if found != json.loads(json.dumps(facts)):
        raise UserError(
            f"{folder} has predictions of other images, another model or other options or settings",
            hint="name a new folder as --out, or remove this one",
        )
