import re

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from thaw.labels import layout
from thaw.project.errors import UserError
from thaw.sources import datasets

NAMES = ["airplane", "bird", "cat"]


def test_every_entry_can_be_checked():
    for named in datasets.NAMED.values():
        assert re.fullmatch(r"https://.*\.(zip|tgz|tar\.gz)", named.url)
        assert named.size > 10**7
        assert named.sha256 is None or re.fullmatch("[0-9a-f]{64}", named.sha256)


def test_digits(tmp_path):
    datasets.write_digits(tmp_path)
    digits = load_digits()
    assert len(list(tmp_path.rglob("*.png"))) == 1797
    for number in (0, 911, 1796):
        with Image.open(tmp_path / str(digits.target[number]) / f"{number:04d}.png") as image:
            pixels = np.asarray(image)
        assert pixels.dtype == "uint8"
        assert np.array_equal(np.round(pixels / (255 / 16)), digits.images[number])


def write_cifar(root, records: dict[str, list[tuple[int, np.ndarray]]]) -> None:
    """Write batches as the archive has them: label, then all red, all green, all blue."""
    folder = root / "cifar-10-batches-bin"
    folder.mkdir()
    (folder / "batches.meta.txt").write_text("\n".join(NAMES) + "\n\n")
    for name, images in records.items():
        planes = [bytes([label]) + pixels.transpose(2, 0, 1).tobytes() for label, pixels in images]
        (folder / name).write_bytes(b"".join(planes))


def test_cifar10(tmp_path):
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (7, 32, 32, 3), "uint8")
    labelled = list(zip([2, 0, 1, 2, 0, 1, 2], pixels))
    write_cifar(
        tmp_path,
        {
            "data_batch_1.bin": labelled[:3],
            "data_batch_2.bin": labelled[3:5],
            "test_batch.bin": labelled[5:],
        },
    )
    found = layout.find(datasets.cifar10(tmp_path), "{split}/{label}/*").found
    assert [(each.label, each.given) for each in found] == [
        ("bird", "test"),
        ("cat", "test"),
        ("airplane", "train"),
        ("airplane", "train"),
        ("bird", "train"),
        ("cat", "train"),
        ("cat", "train"),
    ]
    for name, number in {
        "train/cat/data_batch_1-00000": 0,
        "train/airplane/data_batch_2-00001": 4,
        "test/cat/test_batch-00001": 6,
    }.items():
        with Image.open(tmp_path / f"images/{name}.png") as image:
            assert np.array_equal(np.asarray(image), pixels[number])


def test_a_cut_cifar10_batch_is_named(tmp_path):
    write_cifar(tmp_path, {"data_batch_1.bin": [(0, np.zeros((31, 32, 3), "uint8"))]})
    with pytest.raises(UserError, match=r"data_batch_1.bin: not whole records of 3073 bytes; fetc"):
        datasets.cifar10(tmp_path)


def test_cub200_keeps_the_split_that_it_came_with(tmp_path):
    root = tmp_path / "CUB_200_2011"
    names = ["001.Auk/Auk_1.jpg", "001.Auk/Auk_2.jpg", "002.Wren/Wren_1.jpg", "002.Wren/Wren_2.jpg"]
    for name in names:
        (root / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "images" / name).write_text(name)
    (root / "images.txt").write_text("".join(f"{i} {name}\n" for i, name in enumerate(names, 1)))
    (root / "train_test_split.txt").write_text("1 0\n2 1\n3 1\n4 0\n")
    folder = datasets.cub200(tmp_path)
    found, skipped, *_ = layout.find(folder)
    assert {(each.path.name, each.label, each.given) for each in found} == {
        ("Auk_1.jpg", "001.Auk", "test"),
        ("Auk_2.jpg", "001.Auk", "train"),
        ("Wren_1.jpg", "002.Wren", "train"),
        ("Wren_2.jpg", "002.Wren", "test"),
    }
    assert skipped == 0
    assert (folder / "train/002.Wren/Wren_1.jpg").read_text() == names[2]
