import pytest
from PIL import Image

from tests.conftest import decoding, draw_images
from thaw.data import inspection
from thaw.images import image_files
from thaw.images.image_checks import InvalidImage
from thaw.project import files
from thaw.project.errors import UserError

SETTINGS = decoding()


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (3, 8)])
def test_the_shape_is_part_of_what_is_compared(shape):
    other = Image.new("RGB", (8, 3))
    assert inspection.pixel_sha256(Image.new("RGB", shape)) != inspection.pixel_sha256(other)


def test_the_digest_of_pixels_does_not_depend_on_strips(monkeypatch):
    image = Image.effect_noise((13, 17), 50).convert("RGB")
    whole = inspection.pixel_sha256(image)
    monkeypatch.setattr(image_files, "STRIP", 4)
    assert inspection.pixel_sha256(image) == whole


def test_the_digest_is_of_what_was_decoded(tmp_path, monkeypatch):
    draw_images(tmp_path, {"red": 1, "green": 1})
    file, other = tmp_path / "red/0.jpg", tmp_path / "green/0.jpg"
    before = inspection.inspect(file, SETTINGS, 5, 10_000)
    decoded = inspection.to_rgb

    def swapped_first(*given):
        file.write_bytes(other.read_bytes())
        return decoded(*given)

    monkeypatch.setattr(inspection, "to_rgb", swapped_first)
    assert inspection.inspect(file, SETTINGS, 5, 10_000) == before
    monkeypatch.undo()
    assert inspection.inspect(file, SETTINGS, 5, 10_000).sha256 == files.sha256(other)


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (MemoryError(), UserError, "0.jpg: too little memory to decode it; lower data.max_megapix"),
        (PermissionError(13, "Permission denied"), PermissionError, "Permission denied"),
        (OSError(5, "Input/output error"), OSError, "Input/output error"),
        (ValueError("invalid palette"), InvalidImage, "^damaged: invalid palette$"),
    ],
)
def test_what_is_not_the_images_fault_does_not_quarantine_it(
    tmp_path, monkeypatch, error, raised, message
):
    draw_images(tmp_path, {"red": 1, "green": 1})

    def fail(*_):
        raise error

    monkeypatch.setattr(inspection, "to_rgb", fail)
    with pytest.raises(raised, match=message):
        inspection.inspect(tmp_path / "red/0.jpg", SETTINGS, 5, 10_000)
