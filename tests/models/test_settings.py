import re

import pytest
from pydantic import ValidationError

from thaw.models.settings import Backbone


def spec(name: str = "MobileNetV2", image_size: int | None = 32) -> Backbone:
    return Backbone(name=name, weights=None, image_size=image_size)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "MobileNetV22"}, "did you mean MobileNetV2?"),
        ({"name": "zzz"}, "`python -m tools.backbones` lists them"),
        ({"name": "InceptionV3", "image_size": 64}, "should be at least 75 for InceptionV3"),
    ],
)
def test_a_wrong_name_or_size_is_named(changes, message):
    with pytest.raises(ValidationError, match=re.escape(message)):
        spec(**changes)


def test_no_size_is_the_networks_own():
    assert spec("EfficientNetLite2", image_size=None).size == 260
    assert spec("EfficientNetLite2", image_size=96).size == 96
