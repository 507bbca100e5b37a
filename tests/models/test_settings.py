import re

import pytest
from pydantic import ValidationError

from tests.conftest import head_spec
from thaw.models.settings import Backbone
from thaw.project import params
from thaw.project.errors import UserError


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


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"file": "imagenet", "sha256": "7" * 64}, "write `weights: imagenet`, no sha256"),
        ({"file": "x.h5"}, "[backbone.weights.sha256]: this key is missing"),
    ],
)
def test_a_digest_is_of_a_file_and_is_said(weights, message):
    values = {"backbone": {"name": "MobileNetV2", "weights": weights, "image_size": 32}}
    with pytest.raises(UserError, match=re.escape(message)) as error:
        params.check(Backbone, values, "backbone")
    assert "\n" not in str(error.value)


def test_a_name_alone_is_of_a_file_with_any_digest():
    wanted = Backbone(name="MobileNetV2", weights="x.h5", image_size=32).weights
    assert (wanted.file, wanted.sha256) == ("x.h5", None)


@pytest.mark.parametrize(
    "name", ["hub:dinov2_small", "hf://timm/resnet18.a1_in1k", "./presets/vit"]
)
def test_a_preset_needs_a_size_and_brings_its_own_weights(name):
    assert spec(name, image_size=224).size == 224
    assert Backbone(name=name, weights="imagenet", image_size=64).weights.file == "imagenet"
    with pytest.raises(ValidationError, match="image_size should be a number for a preset"):
        spec(name, image_size=None)
    with pytest.raises(ValidationError, match="weights should be imagenet for a preset"):
        Backbone(name=name, weights="x.h5", image_size=64)


def test_the_digest_of_a_preset_is_that_of_a_folder():
    wanted = {"file": "imagenet", "sha256": "7" * 64}
    assert Backbone(name="./vit", weights=wanted, image_size=64).weights.sha256 == "7" * 64
    with pytest.raises(ValidationError, match="no sha256"):
        Backbone(name="hub:vit", weights=wanted, image_size=64)


@pytest.mark.parametrize(
    "changes", [{"pooling": "avg"}, {"hidden": [5]}, {"batch_normalization": True}]
)
def test_only_a_linear_head_on_what_is_pooled_starts_from_text(changes):
    fitting = {"start": "text", "pooling": "cls"}
    assert head_spec(**fitting).start == "text"
    with pytest.raises(
        ValidationError, match=r"start: text should have pooling: cls, hidden: \[\]"
    ):
        head_spec(**fitting | changes)
