import functools
import shutil
import sys

import keras
import numpy as np
import pytest

from tests import tiny_presets
from tests.tiny_presets import BACKBONES, SIZE, WITH_CLASS_TOKEN
from thaw.features import inference
from thaw.models import backbones, preset_network, pretrained, weights
from thaw.models.settings import Backbone
from thaw.project.errors import UserError
from thaw.training import frozen_activations, layer_blocks

BLOCKS = {family: 3 for family in WITH_CLASS_TOKEN} | {
    "Swin": 3, "ResNet": 2, "ResNet-D": 2, "EfficientNet": 3, "MobileNetV3": 5, "MobileNetV5": 3,
    "HGNetV2": 3, "CSPNet": 3,
}  # fmt: skip
PIXELS = np.random.default_rng(1).integers(0, 256, (3, SIZE, SIZE, 3)).astype("float32")


def spec(folder, size: int = SIZE, **changes) -> Backbone:
    values = {"name": str(folder), "weights": "imagenet", "image_size": size}
    return Backbone(**values | changes)


def numbers(network: keras.Model, pixels: np.ndarray) -> list[np.ndarray]:
    outputs = network(pixels.astype("float32"), training=False)
    return [np.asarray(each) for each in keras.tree.flatten(outputs)]


def of_keras_hub(folder) -> np.ndarray:
    """Return what KerasHub makes of PIXELS, its own converter before it."""
    import keras_hub

    backbone = keras_hub.models.Backbone.from_preset(str(folder))
    backbone = getattr(backbone, "vision_encoder", backbone)
    scaled = keras_hub.layers.ImageConverter.from_preset(str(folder))(PIXELS)
    inputs = backbone.input
    given = {name: scaled for name in inputs} if isinstance(inputs, dict) else scaled
    got = backbone(given, training=False)
    return np.asarray(got["stage2"] if isinstance(got, dict) else got)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets")
    return {family: tiny_presets.save(family, folder / family) for family in BACKBONES}


@pytest.fixture(scope="module")
def loaded(saved):
    return functools.cache(lambda family: pretrained.load(spec(saved[family]), None))


@pytest.mark.slow
@pytest.mark.parametrize("family", BACKBONES)
def test_features_are_those_of_keras_hub(family, saved, loaded):
    expected = of_keras_hub(saved[family])
    feature_map, *token = numbers(loaded(family), PIXELS)
    count = feature_map.shape[1] * feature_map.shape[2]
    if family == "SigLIP":  # whose output is what it pools by attention
        assert np.allclose(token[0], expected, atol=1e-5)
    elif expected.ndim == 4:
        assert np.allclose(feature_map, expected, atol=1e-5 * np.abs(expected).max())
    else:
        patches = feature_map.reshape(3, count, -1)
        assert np.allclose(patches, expected[:, -count:], atol=1e-5)
        assert all(np.allclose(each, expected[:, 0], atol=1e-5) for each in token)
    assert len(token) == (family in WITH_CLASS_TOKEN)
    assert np.ptp(feature_map, axis=0).max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("family", BACKBONES)
def test_it_is_kept_and_openvino_agrees(family, saved, tmp_path):
    given = spec(saved[family], 51)  # another size than the preset's
    network = pretrained.load(given, None)
    weights.save(network, tmp_path / "x.weights.h5", preset_network.provenance(network))
    again = backbones.pooled(backbones.load(given, tmp_path / "x.weights.h5"), feature_maps=True)
    pixels = np.random.default_rng(6).integers(0, 256, (3, 51, 51, 3)).astype("uint8")
    [feature_map, *token] = numbers(network, pixels)
    names = {"avg", "max", "map"} | ({"cls"} if family in WITH_CLASS_TOKEN else set())
    got = dict(zip(sorted(names), numbers(again, pixels), strict=True))
    assert np.array_equal(got["map"], feature_map)
    assert all(np.array_equal(got["cls"], each) for each in token)
    assert np.allclose(got["avg"], feature_map.mean(axis=(1, 2)), atol=1e-4)
    [of_openvino] = inference.forward(again, "openvino", "float32")([pixels])
    for name, values in got.items():
        assert np.abs(of_openvino[name] - values).max() <= 1e-4 * max(1, np.abs(values).max())


@pytest.mark.slow
@pytest.mark.parametrize("family", BACKBONES)
def test_blocks_are_found_and_it_can_be_cut_between_them(family, loaded):
    network = backbones.for_pooling(loaded(family), "avg")
    blocks = layer_blocks.of(network)
    assert len(blocks) == BLOCKS[family]
    names = [layer.name for layer in network.layers]
    cut = frozen_activations.cut_below(network, names.index(blocks[-1][0].name))
    [below], [expected] = numbers(cut.frozen, PIXELS), numbers(network, PIXELS)
    assert np.allclose(numbers(cut.top, below)[0], expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.slow
def test_dino_takes_images_of_other_sizes_as_they_are(saved):
    for family, side in (("DINOv2", 7), ("DINOv3", 7), ("ViT", 5)):  # 56 are 7 patches of 8 pixels
        network = pretrained.load(spec(saved[family], 56), None)
        assert network.outputs[0].shape == (None, side, side, tiny_presets.WIDTH)


def positions_of(network: keras.Model) -> keras.Variable:
    [layer] = [each for each in network.layers if each.name.endswith("embeddings")]
    return layer.interpolated_position_embeddings


@pytest.mark.slow
@pytest.mark.parametrize("change", [0.5, -0.5])
def test_trained_positions_of_dino_are_kept(change, saved, tmp_path):
    given = spec(saved["DINOv2"], 51)
    network = pretrained.load(given, None)
    positions = positions_of(network)
    positions.assign_add(np.full(positions.shape, change, "float32"))
    weights.save(network, tmp_path / "x.weights.h5", preset_network.provenance(network))
    again = backbones.load(given, tmp_path / "x.weights.h5")
    assert np.array_equal(positions_of(again), positions)


@pytest.mark.slow
def test_null_is_for_random_weights(saved):
    random, own = (
        pretrained.load(spec(saved["ViT"], weights=each), None) for each in (None, "imagenet")
    )
    assert not np.allclose(random.get_weights()[1], own.get_weights()[1])


@pytest.mark.slow
def test_a_preset_of_other_bytes_is_refused(saved, tmp_path, capsys):
    pretrained.load(spec(saved["ViT"]), None)
    said = capsys.readouterr().out.splitlines()[-1]
    digest = said.split()[-1].strip("}")
    assert said.split() == ["weights:", "{file:", "imagenet,", "sha256:", f"{digest}}}"]
    named = {"file": "imagenet", "sha256": digest}
    pretrained.load(spec(saved["ViT"], weights=named), None)
    assert capsys.readouterr().out == ""
    with pytest.raises(UserError, match=f"its SHA-256 is {digest} and not {'7' * 64}"):
        pretrained.load(spec(saved["ViT"], weights=named | {"sha256": "7" * 64}), None)


@pytest.mark.slow
def test_what_is_no_preset_is_told(saved, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"'nothing' is no preset: it has no config\.json"):
        pretrained.load(spec("./nothing"), None)
    with pytest.raises(UserError, match="did you mean hub:dinov2_small"):
        pretrained.load(spec("hub:dinov2_smal"), None)
    shutil.copytree(saved["ViT"], tmp_path / "vit")
    (tmp_path / "vit/image_converter.json").unlink()
    with pytest.raises(UserError, match=r"KerasHub cannot read .*vit .*save it again, with its im"):
        pretrained.load(spec(tmp_path / "vit"), None)
    (tmp_path / "vit/model.weights.h5").write_bytes(b"x")
    with pytest.raises(UserError, match=r"model.weights.h5: "):
        pretrained.load(spec(tmp_path / "vit"), None)


def test_another_kind_of_network_is_refused():
    with pytest.raises(UserError, match=r"Functional is of no family .* take ViT, DeiT, DINOv2, "):
        preset_network.describe(keras.Model(x := keras.Input((2,)), x, name="m"), None, None)


def test_without_keras_hub_a_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(UserError, match=r"presets need keras_hub, .*requirements-hub.txt"):
        pretrained.load(spec(tmp_path / "vit"), None)
