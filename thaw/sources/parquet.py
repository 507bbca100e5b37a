"""Parquet files with a column of images, as Hugging Face's data sets have them."""

import io
import json
import re
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import NamedTuple

from thaw.project.errors import UserError
from thaw.sources import listing
from thaw.sources.archive_kinds import Damaged
from thaw.sources.bounded_writer import Writer
from thaw.sources.settings import USUAL_LABELS, Labels

KEY = "data.labels"
MAGIC = b"PAR1"
ROWS = 4  # that are in memory at once
BUFFER = 1 << 20  # bytes, instead of a whole group of rows
NO_LABEL = -1  # among numbers of classes, such as of test images
STRUCT = re.compile("struct<(.*, )?bytes: (large_)?binary")  # a type's name
NAMES_AT = b"huggingface"  # in the schema's metadata


class Columns(NamedTuple):
    """Which column has the images and which the labels; names are the classes', None for none."""

    image: str
    label: str
    names: list[str] | None


def is_parquet(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def unpack(path: Path, folder: Path, name: str, labels: Labels | None, writer: Writer) -> None:
    """Write each image as its row's number with the ending it had, and its label as NUMBER.cls.

    A row without an image gives an empty file, one without a label no second file. `labels` may
    name the columns. Raises UserError that calls the file `name` where columns cannot be told, a
    label has no name or pyarrow is not installed; Damaged when the file is not whole.
    """
    arrow = _pyarrow(name)
    writer.begin(name, path.stat().st_size, folder)
    try:
        with arrow.parquet.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False) as file:
            columns = _columns(file.schema_arrow, name, labels)
            row = 0
            for batch in file.iter_batches(ROWS, columns=columns[:2], use_threads=False):
                for cells in batch.to_pylist():
                    _write(f"{row:07}", cells, columns, writer)
                    row += 1
    except (arrow.ArrowException, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's fault
        said = str(error).partition("\n")[0]
        raise Damaged(f"{name}: damaged Parquet file: {said}; fetch it again") from None


def _pyarrow(name: str) -> ModuleType:
    try:
        import pyarrow.parquet
    except ImportError:
        raise UserError(f"{name} is a Parquet file, which needs pyarrow; `make parquet`") from None
    return pyarrow


def _columns(schema, name: str, labels: Labels | None) -> Columns:
    """Tell the columns by what Hugging Face wrote of them, else by their types and names."""
    features = _features(schema.metadata or {})
    kinds = {each.name: str(each.type) for each in schema}
    told = {each: features.get(each, {}).get("_type") for each in kinds}
    images = [each for each, kind in kinds.items()
              if told[each] == "Image" or STRUCT.match(kind)]  # fmt: skip
    images = images or [each for each, kind in kinds.items() if kind in ("binary", "large_binary")]
    classes = [each for each in kinds if told[each] == "ClassLabel"]
    classes = classes or [each for each in kinds if each.lower() in USUAL_LABELS]
    image = _one(images, labels and labels.path, f"{name}: which column has the images", "path")
    label = _one(classes, labels and labels.label, f"{name}: which column has the labels", "label")
    for each in (image, label):
        if each not in kinds:
            raise UserError(f"{name} has no column {each!r}", KEY, f"it has {', '.join(kinds)}")
    names = features.get(label, {}).get("names")
    return Columns(image, label, [*map(str, names)] if isinstance(names, list) else None)


def _features(metadata: dict[bytes, bytes]) -> dict[str, dict]:
    """Return what Hugging Face says of the columns, {} where that is not there or damaged."""
    try:
        said = json.loads(metadata.get(NAMES_AT, b"{}"))["info"]["features"]
        return {column: kind for column, kind in said.items() if isinstance(kind, dict)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _one(found: list[str], wanted: str | list[str] | None, question: str, key: str) -> str:
    if isinstance(wanted, str):
        return wanted
    if len(found) != 1:
        may_be = f" ({', '.join(found)})" if found else ""
        raise UserError(
            f"{question}?{may_be}", KEY,
            f'name it: {{table: "*.parquet", {key}: {found[0] if found else "COLUMN"}}}',
        )  # fmt: skip
    return found[0]


def _write(number: str, cells: dict, columns: Columns, writer: Writer) -> None:
    image, label = cells[columns.image], cells[columns.label]
    content, path = (
        (image.get("bytes"), image.get("path")) if isinstance(image, dict) else (image, None)
    )
    ending = PurePosixPath(str(path or "").replace("\\", "/")).suffix
    ending = ending if listing.is_image_by_name(f"x{ending}") else ""
    if not isinstance(content, bytes | None):
        raise UserError(f"{writer.name}: column {columns.image!r} holds no images", KEY,
                        "name another file, or the column by path")  # fmt: skip
    writer.write(writer.target(f"{number}{ending}", False), io.BytesIO(content or b""))
    if label is None or label == NO_LABEL or label != label:  # as NaN is
        return
    if columns.names is not None:
        if not isinstance(label, int) or not 0 <= label < len(columns.names):
            raise UserError(
                f"{writer.name}: row {int(number)} has label {label!r}, and there are "
                f"{len(columns.names)} names of classes", KEY, "mend it, or name another column",
            )  # fmt: skip
        label = columns.names[label]
    if not isinstance(label, str | bytes | int | float):
        raise UserError(f"{writer.name}: column {columns.label!r} holds no labels", KEY,
                        "name the column that has one for each image")  # fmt: skip
    text = label if isinstance(label, bytes) else str(label).encode(errors="replace")
    writer.write(writer.target(f"{number}.cls", False), io.BytesIO(text))
