from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn import datasets

from tests.conftest import decoding
from thaw.images import loader
from thaw.images.loader import ImageLoader, prefetch
from thaw.project import files, snapshots
from thaw.project.errors import UserError

SETTINGS = decoding()


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, []),
        (1, [(0, 1)]),
        (7, [(0, 7)]),
        (8, [(0, 8)]),
        (9, [(0, 9)]),
        (10, [(0, 8), (8, 10)]),
        (17, [(0, 8), (8, 17)]),
        (18, [(0, 8), (8, 16), (16, 18)]),
    ],
)
def test_no_batch_of_one_and_none_left_out(count, expected):
    assert [(rows.start, rows.stop) for rows in loader.slices(count, 8)] == expected


def test_load_gives_a_square_turned_upright(tmp_path):
    pixels = np.zeros((8, 16, 3), "uint8")
    pixels[:, :8] = (0, 0, 250)  # left half blue
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned a quarter clockwise: left comes to the top
    image.save(tmp_path / "x.png", exif=exif)
    got = ImageLoader(6, SETTINGS).load(tmp_path / "x.png")
    assert (got.shape, got.dtype) == ((6, 6, 3), np.uint8)
    assert got[0].tolist() == [[0, 0, 250]] * 6
    assert got[5].tolist() == [[0, 0, 0]] * 6


@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_an_image_is_turned_before_it_is_fitted(tmp_path, fit):
    """Stored tall, blue above red; seen wide, blue at the left."""
    image = Image.new("RGB", (8, 24), (200, 0, 0))
    image.paste((0, 0, 200), (0, 0, 8, 12))
    exif = image.getexif()
    exif[0x0112] = 8  # to be turned a quarter anticlockwise
    image.save(tmp_path / "x.png", exif=exif)
    settings = SETTINGS.model_copy(update={"fit": fit})
    got = ImageLoader(6, settings).load(tmp_path / "x.png")
    blue, red = (got == (0, 0, 200)).all(axis=2), (got == (200, 0, 0)).all(axis=2)
    ground = (got == 255).all(axis=2)
    inner = slice(2, 4) if fit == "pad" else slice(None)
    assert blue[inner, :2].all()
    assert red[inner, 4:].all()
    assert ground.sum() == (24 if fit == "pad" else 0)


@pytest.mark.parametrize(
    ("gap", "size", "decoded"),
    [
        (None, 160, (2400, 1800)),
        (3.0, 160, (1200, 900)),
        (2.0, 160, (600, 450)),
        (1.0, 160, (300, 225)),
        (1.0, 64, (300, 225)),
        (3.0, 301, (2400, 1800)),
    ],
)
def test_a_large_jpeg_is_decoded_at_a_reduced_size(tmp_path, monkeypatch, gap, size, decoded):
    """On a photo, enlarged, and with an EXIF orientation; pixels change by about 1 of 255."""
    photo = Image.open(Path(datasets.__file__).with_name("images") / "china.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.resize((2400, 1800), Image.Resampling.BICUBIC).save(
        tmp_path / "large.jpg", quality=95, exif=exif
    )
    sizes = []
    whole = loader.to_rgb

    def to_rgb(image, settings):
        sizes.append(image.size)
        return whole(image, settings)

    monkeypatch.setattr(loader, "to_rgb", to_rgb)
    exact = ImageLoader(size, SETTINGS).load(tmp_path / "large.jpg").astype(int)
    settings = SETTINGS.model_copy(update={"reducing_gap": gap})
    got = ImageLoader(size, settings).load(tmp_path / "large.jpg").astype(int)
    assert sizes[1] == decoded
    assert np.abs(got - exact).mean() < (1.5 if gap in (None, 3.0) else 8)


def test_other_formats_are_decoded_whole(tmp_path):
    Image.new("RGB", (900, 900), (10, 20, 30)).save(tmp_path / "large.png")
    settings = SETTINGS.model_copy(update={"reducing_gap": 1.0})
    assert (ImageLoader(32, settings).load(tmp_path / "large.png") == (10, 20, 30)).all()


@pytest.fixture
def paths(tmp_path):
    """17 images whose every pixel is ten times the image's number."""
    paths = [tmp_path / f"{number}.png" for number in range(17)]
    for number, path in enumerate(paths):
        Image.new("RGB", (9, 11), (number * 10,) * 3).save(path)
    return paths


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_keep_the_order_and_the_tail(paths, workers):
    got = list(ImageLoader(4, SETTINGS, workers).batches(paths, 5, "test"))
    assert [(rows.start, rows.stop) for rows, _ in got] == [(0, 5), (5, 10), (10, 15), (15, 17)]
    assert all(pixels.dtype == np.uint8 for _, pixels in got)
    together = np.concatenate([pixels for _, pixels in got])
    assert together.shape == (17, 4, 4, 3)
    assert together[:, 0, 0, 0].tolist() == [number * 10 for number in range(17)]


def test_batches_raise_what_a_thread_raised(paths):
    paths[7].write_bytes(b"")
    with pytest.raises(OSError, match=r"7\.png"):
        list(ImageLoader(4, SETTINGS, 2).batches(paths, 5, "test"))


def test_to_file_puts_each_image_into_its_own_row(paths, tmp_path):
    pixels = ImageLoader(5, SETTINGS, 2).to_file(paths, tmp_path)
    assert isinstance(pixels, np.memmap)
    assert (pixels.shape, pixels.dtype) == ((17, 5, 5, 3), np.uint8)
    assert pixels[:, 4, 4, 2].tolist() == [number * 10 for number in range(17)]


def test_a_file_that_has_another_digest_by_now_is_refused(paths):
    digests = {path: files.sha256(path) for path in paths}
    loader = ImageLoader(5, SETTINGS, 2, digests)
    assert loader.stack(paths).shape == (17, 5, 5, 3)
    paths[7].write_bytes(paths[8].read_bytes())
    with pytest.raises(UserError, match=r"7\.png is not the image that data/manifest\.csv names; "):
        list(loader.batches(paths, 5, "test"))
    with pytest.raises(KeyError):  # a file that nobody has a digest of is none of them
        loader.load(paths[0].with_name("other.png"))


def test_a_missing_image_of_the_manifest_is_named(paths):
    digests = {path: files.sha256(path) for path in paths}
    paths[7].unlink()
    said = r"7\.png is missing, which data/manifest\.csv names; `dvc checkout data/raw` or "
    with pytest.raises(UserError, match=said):
        list(ImageLoader(5, SETTINGS, 2, digests).batches(paths, 5, "test"))


def test_what_is_decoded_is_what_was_hashed(paths, monkeypatch):
    loader = ImageLoader(5, SETTINGS, digests={paths[7]: files.sha256(paths[7])})
    hashed = snapshots.sha256

    def swapped_then(file):
        digest = hashed(file)
        paths[7].write_bytes(paths[8].read_bytes())
        return digest

    monkeypatch.setattr(snapshots, "sha256", swapped_then)
    assert (loader.load(paths[7]) == 70).all()
    assert (ImageLoader(5, SETTINGS).load(paths[7]) == 80).all()


def test_a_stack_of_none_has_no_rows():
    assert ImageLoader(5, SETTINGS).stack([]).shape == (0, 5, 5, 3)


def test_prefetch_keeps_the_order_and_is_only_a_little_ahead():
    begun = []

    def square(number: int) -> int:
        begun.append(number)
        return number**2

    results = prefetch(square, range(100), 3)
    assert [next(results) for _ in range(5)] == [0, 1, 4, 9, 16]
    assert len(begun) <= 5 + 3
    results.close()
    assert len(begun) < 100
