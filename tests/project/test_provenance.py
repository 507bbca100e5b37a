from pathlib import Path

import pytest

from thaw.project.errors import UserError
from thaw.project.provenance import check_provenance


def test_the_first_difference_is_named():
    expected = {"backbone": "VGG16", "image_size": 64}
    check_provenance({**expected, "more": 1}, expected, Path("x"), "extract")
    other = {**expected, "image_size": 96}
    with pytest.raises(UserError, match="x was made with image_size 96 and not 64; run `dvc repro"):
        check_provenance(other, expected, Path("x"), "extract")
    with pytest.raises(UserError, match="x was made with backbone None and not VGG16"):
        check_provenance({}, expected, Path("x"), "extract")
