"""The data sets that `data.source` knows by name. Adding one is adding an entry to NAMED."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from thaw.project.errors import UserError


class Named(NamedTuple):
    """An archive on the web.

    size is in bytes; sha256 is hexadecimal, or None where nobody published it. arrange takes the
    folder with the unpacked archive and returns the one that holds CLASS/ or SPLIT/CLASS/.
    """

    url: str
    size: int
    sha256: str | None
    arrange: Callable[[Path], Path] = lambda unpacked: unpacked


def cifar10(unpacked: Path) -> Path:
    """Write CIFAR-10's binary records as PNG files: train|test/CLASS/BATCH-NUMBER.png.

    A record is a label (one byte) and 32 x 32 pixels, first all of red, then green, then blue, row
    by row (A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009).
    """
    batches = unpacked / "cifar-10-batches-bin"
    names = (batches / "batches.meta.txt").read_text(encoding="utf-8").split()
    files = sorted(batches.glob("*_batch*.bin"))
    for file in tqdm(files, desc="unpack batches", disable=None):
        records = np.frombuffer(file.read_bytes(), "uint8")
        if records.size % 3073:
            raise UserError(f"{file.name}: not whole records of 3073 bytes; fetch it again")
        split = "test" if file.stem == "test_batch" else "train"
        for number, record in enumerate(records.reshape(-1, 3073)):
            path = unpacked / "images" / split / names[record[0]]
            path.mkdir(parents=True, exist_ok=True)
            pixels = record[1:].reshape(3, 32, 32).transpose(1, 2, 0)
            Image.fromarray(pixels).save(path / f"{file.stem}-{number:05d}.png")
    return unpacked / "images"


def cub200(unpacked: Path) -> Path:
    """Sort the birds into train|test/CLASS/ by the split that comes with them.

    images.txt has lines of `id path`, train_test_split.txt of `id 1` for training images and
    `id 0` for the others (C. Wah and others, "The Caltech-UCSD Birds-200-2011 Dataset", 2011).
    """
    root = unpacked / "CUB_200_2011"
    images, training = (
        pd.read_csv(root / name, sep=" ", names=["id", "value"], index_col="id")["value"]
        for name in ("images.txt", "train_test_split.txt")
    )
    for number, path in images.items():
        target = unpacked / "images" / ("train" if training[number] else "test") / path
        target.parent.mkdir(parents=True, exist_ok=True)
        (root / "images" / path).rename(target)
    return unpacked / "images"


NAMED = {
    "cats_and_dogs_filtered": Named(
        "https://storage.googleapis.com/mledu-datasets/cats_and_dogs_filtered.zip",
        68_606_236,
        None,
    ),
    "cats_vs_dogs": Named(
        "https://download.microsoft.com/download/3/E/1/3E1C3F21-ECDB-4869-8368-6DEBA77B919F/"
        "kagglecatsanddogs_5340.zip",
        824_887_076,
        "b7974bd00a84a99921f36ee4403f089853777b5ae8d151c76a86e64900334af9",
        lambda unpacked: unpacked / "PetImages",
    ),
    "flower_photos": Named(
        "https://storage.googleapis.com/download.tensorflow.org/example_images/flower_photos.tgz",
        228_813_984,
        "4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c",
    ),
    "cifar10": Named(
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        170_052_171,
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        cifar10,
    ),
    "cub200_2011": Named(
        "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
        1_150_585_339,
        "0c685df5597a8b24909f6a7c9db6d11e008733779a671760afef78feb49bf081",
        cub200,
    ),
}


def write_digits(folder: Path) -> None:
    """Write scikit-learn's 1,797 digits as 8x8 grey PNG files: CLASS/NUMBER.png, grey 0..255.

    The digits are the test part of E. Alpaydin and C. Kaynak's "Optical Recognition of Handwritten
    Digits", UCI Machine Learning Repository, 1998; scikit-learn gives grey levels 0..16.
    """
    from sklearn.datasets import (
        load_digits,
    )  # takes a second to import, and no other source needs it

    digits = load_digits()
    grey = np.round(digits.images * (255 / 16)).astype("uint8")
    for number, (image, label) in enumerate(zip(grey, digits.target)):
        path = folder / str(label) / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
