"""Shards that tests generate: images of few pixels, packed as webdataset and Hugging Face do."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image


def image(number: int, kind: str = "PNG") -> bytes:
    """Return an image of noise, 11 x 9, that no other number has."""
    pixels = np.random.default_rng(number).integers(0, 256, (9, 11, 3), "uint8")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def write_tar(path: Path, members: dict[str, bytes | str], mode: str = "w") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as packed:
        for name, content in members.items():
            content = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    return path


def samples(labels: list[str], first: int = 0) -> dict[str, bytes | str]:
    """Return the members NUMBER.png and NUMBER.cls of a tar, one sample for each label."""
    members = {}
    for number, label in enumerate(labels, first):
        members |= {f"{number:03}.png": image(number), f"{number:03}.cls": label}
    return members


def write_parquet(
    path: Path, labels: list[int | str | None], names: list[str] | None = None, first: int = 0,
    **more: list,
) -> Path:  # fmt: skip
    """Write columns image (bytes, path) and label; `names` makes it one of Hugging Face's."""
    import pyarrow as pa
    from pyarrow import parquet

    images = [
        {"bytes": image(number), "path": f"{number}.png"}
        for number in range(first, first + len(labels))
    ]
    table = pa.table({"image": images, "label": labels, **more})
    if names is not None:
        features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
        said = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": said})
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path, row_group_size=3)
    return path
