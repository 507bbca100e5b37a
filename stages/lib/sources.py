"""Bring the pictures of `data.source` into one folder: the digits, a folder, an archive, a URL."""

import shutil
from pathlib import Path
from typing import Annotated, Literal

import requests
from pydantic import AfterValidator, Field
from tqdm import tqdm

from stages.lib import archive, files
from stages.lib.errors import UserError
from stages.lib.params import Section

TIMEOUT = (10, 60)  # seconds to connect, and between two pieces of the answer
PIECE = 1 << 20  # bytes


def _check_outside(source: str) -> str:
    outputs = [Path(name).resolve() for name in ("data", "models", "metrics")]
    if "://" not in source and any(Path(source).resolve().is_relative_to(out) for out in outputs):
        raise ValueError("should lie outside of data/, models/ and metrics/, which DVC replaces")
    return source


class Data(Section):
    """What to download, and what to do with files that are no readable pictures."""

    source: Annotated[str, Field(min_length=1), AfterValidator(_check_outside)]
    on_bad: Literal["fail", "quarantine"]


def fetch(source: str, folder: Path) -> None:
    """Fill the new `folder` with the pictures of `source`, in the folders they came in.

    A source folder is copied and never changed. Raises UserError when there is no such source.
    """
    if source == "digits":
        write_digits(folder)
    elif source.startswith(("http://", "https://")):
        with files.scratch(folder.with_name("partial-download")) as scratch:
            _unpack(download(source, scratch / "archive"), folder, source)
    elif folder.resolve().is_relative_to(Path(source).resolve()):
        raise UserError(
            f"params.yaml [data.source]: {source!r} contains this project's outputs; name the "
            "folder that holds the class folders"
        )
    elif Path(source).is_dir():
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns(".*"))
    elif Path(source).is_file():
        _unpack(Path(source), folder, source)
    else:
        raise UserError(
            f"params.yaml [data.source]: {source!r} is neither 'digits' nor a folder, an archive "
            "or a URL; check the path"
        )


def _unpack(path: Path, folder: Path, source: str) -> None:
    if not archive.is_archive(path) and archive.looks_like_one(path):
        raise UserError(f"{source}: damaged or incomplete archive; fetch it again")
    if not archive.is_archive(path):
        raise UserError(
            f"params.yaml [data.source]: {source!r} is no zip or tar archive; name an archive or "
            "the folder that holds the class folders"
        )
    folder.mkdir(parents=True)
    archive.unpack(path, folder)


def write_digits(folder: Path) -> None:
    """Write scikit-learn's 1,797 digits as 8x8 grey PNG files: CLASS/NUMBER.png, grey 0..255.

    The digits are the test part of E. Alpaydin and C. Kaynak's "Optical Recognition of Handwritten
    Digits", UCI Machine Learning Repository, 1998; scikit-learn gives grey levels 0..16.
    """
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits  # takes a second to import, and few sources need it

    digits = load_digits()
    grey = np.round(digits.images * (255 / 16)).astype("uint8")
    for number, (picture, label) in enumerate(zip(grey, digits.target)):
        path = folder / str(label) / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)


def download(url: str, path: Path) -> Path:
    """Fetch `url` into the file `path` with a progress bar, and return `path`.

    Raises UserError that names the URL and the cause: no answer, an HTTP error, a body shorter than
    its Content-Length (which urllib3 checks).
    """
    try:
        with requests.get(url, stream=True, timeout=TIMEOUT) as answer:
            answer.raise_for_status()
            length = int(answer.headers.get("Content-Length", 0)) or None
            bar = tqdm(total=length, unit="B", unit_scale=True, desc="download", disable=None)
            with open(path, "wb") as file, bar:
                for piece in answer.iter_content(PIECE):
                    bar.update(file.write(piece))
    except requests.RequestException as error:
        raise UserError(f"{url}: {error}; check the address and the network") from None
    return path
