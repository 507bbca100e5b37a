import hashlib
from pathlib import Path

import pytest

from stages.lib import backbones, fingerprints, pictures
from stages.lib.errors import UserError

SPEC = backbones.Backbone(name="VGG16", weights=None, image_size=64)
DECODING = pictures.Pictures(upright=True, background=[0, 0, 9], reducing_gap=None)


def test_what_is_in_it(tmp_path):
    (tmp_path / "x").write_bytes(b"weights")
    found = fingerprints.with_weights(backbones.fingerprint(SPEC, DECODING), tmp_path / "x")
    assert found == {
        "backbone": "VGG16",
        "image_size": 64,
        "preprocess": "caffe",
        "pictures": {"upright": True, "background": [0, 0, 9], "reducing_gap": None},
        "weights_sha256": hashlib.sha256(b"weights").hexdigest(),
    }
    assert backbones.fingerprint(SPEC).keys() == {"backbone", "image_size", "preprocess"}


def test_the_first_difference_is_named():
    expected = backbones.fingerprint(SPEC, DECODING)
    fingerprints.check({**expected, "more": 1}, expected, Path("x"), "extract")
    other = {**expected, "image_size": 96}
    with pytest.raises(UserError, match="x was made with image_size 96 and not 64; run `dvc repro"):
        fingerprints.check(other, expected, Path("x"), "extract")
    with pytest.raises(UserError, match="x was made with backbone None and not VGG16"):
        fingerprints.check({}, expected, Path("x"), "extract")
