"""What presets have for texts, each family with a tiny one that the test saves."""

import shutil

import keras
import numpy as np
import pytest

from tests import tiny_presets
from tests.tiny_presets import SIZE, WITH_TEXTS
from thaw.features import inference
from thaw.models import backbones, preset_network, pretrained, text_logits, texts, weights
from thaw.models.settings import Backbone
from thaw.project import files
from thaw.project.errors import UserError

NAMES = ["cat", "blue_sky", "dog"]
PIXELS = np.random.default_rng(1).integers(0, 256, (5, SIZE, SIZE, 3)).astype("uint8")

pytestmark = pytest.mark.slow


def kept(preset, folder):
    """Keep a preset as the stage backbone does; return it, and the provenance of its features."""
    keras.utils.clear_session()  # so that names are begun anew, as in a process of its own
    spec = Backbone(name=str(preset), weights="imagenet", image_size=SIZE)
    network = pretrained.load(spec, None, folder / "texts")
    file = folder / "x.weights.h5"
    weights.save(network, file, preset_network.provenance(network))
    provenance = {"weights_sha256": files.sha256(file)}
    files.write_json(folder / "texts" / text_logits.PROVENANCE_FILE, provenance)
    return backbones.load(spec, file), provenance


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    preset = tiny_presets.save("CLIP", folder / "preset")
    _, provenance = kept(preset, folder)
    return folder, provenance


def of_keras_hub(preset, prompts: list[str]) -> np.ndarray:
    """Return KerasHub's own logits of PIXELS and prompts, all by its own code."""
    import keras_hub

    preprocessor = keras_hub.models.CausalLMPreprocessor.from_preset(str(preset))
    whole = keras_hub.models.Backbone.from_preset(str(preset))
    tokens = preprocessor({"prompts": prompts, "images": PIXELS[: len(prompts)]})["token_ids"]
    images = np.asarray(preprocessor.image_converter(PIXELS.astype("float32")))
    inputs = {"images": images, "token_ids": np.asarray(tokens)}
    return np.asarray(whole(inputs, training=False)["vision_logits"])


@pytest.mark.parametrize("family", WITH_TEXTS)
def test_logits_are_those_of_keras_hub(family, tmp_path):
    preset = tiny_presets.save(family, tmp_path / "preset")
    network, provenance = kept(preset, tmp_path)
    expected = of_keras_hub(
        preset, ["a photo of a cat", "a photo of a blue sky", "a photo of a dog"]
    )
    shutil.rmtree(preset)
    pooled = backbones.pooled(network, feature_maps=False)
    [features] = inference.forward(pooled, "openvino", "float32")([PIXELS])
    fit = texts.of_classes(tmp_path / "texts", provenance, NAMES)
    logits = fit(features[text_logits.POOLING])
    assert logits.shape == expected.shape == (5, 3)
    assert np.abs(logits - expected).max() < 1e-4
    assert np.ptp(expected, axis=0).min() > 1e-3
    kernel, bias = fit.linear(features[text_logits.POOLING])
    linear = features[text_logits.POOLING] @ kernel + bias
    if family != "MetaCLIP":  # which normalises before it projects
        assert np.array_equal(linear.argmax(axis=1), expected.argmax(axis=1))


def test_templates_are_averaged(clip):
    folder, provenance = clip

    def embeddings(*templates: str) -> np.ndarray:
        found = texts.of_classes(folder / "texts", provenance, NAMES, templates)
        return found.embeddings

    one, two = embeddings("a photo of a {}"), embeddings("an ugly {}")
    mean = (one + two) / 2
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    assert np.allclose(embeddings("a photo of a {}", "an ugly {}"), mean, atol=1e-6)
    assert np.abs(one - two).max() > 1e-3


def test_many_texts_pass_in_parts(clip, monkeypatch):
    folder, provenance = clip
    whole = texts.of_classes(folder / "texts", provenance, NAMES)
    monkeypatch.setattr(texts, "AT_ONCE", 2)
    parts = texts.of_classes(folder / "texts", provenance, NAMES)
    assert np.allclose(whole.embeddings, parts.embeddings, atol=1e-6)


def test_the_same_bytes_are_kept_each_time(clip, tmp_path):
    folder, _ = clip
    kept(folder / "preset", tmp_path)
    kinds = {}
    for place in (folder, tmp_path):
        found = sorted(file for file in (place / "texts").rglob("*") if file.is_file())
        kinds[place] = {str(file.relative_to(place)): files.sha256(file) for file in found}
    assert kinds[folder] == kinds[tmp_path]
    assert len(kinds[folder]) > 4


def test_texts_of_other_weights_and_damaged_ones_are_refused(clip, tmp_path):
    folder, provenance = clip
    with pytest.raises(UserError, match=r"texts was made with weights_sha256 .* and not 7"):
        texts.of_classes(folder / "texts", {"weights_sha256": "7" * 64}, NAMES)
    with pytest.raises(UserError, match=r"the backbone knows no texts; set it to a preset of CLIP"):
        texts.of_classes(tmp_path, provenance, NAMES)
    shutil.copytree(folder / "texts", tmp_path / "texts")
    (tmp_path / "texts/model.weights.h5").write_bytes(b"x")
    with pytest.raises(UserError, match=r"texts is damaged .*; run `dvc repro --force"):
        texts.of_classes(tmp_path / "texts", provenance, NAMES)


def test_a_preset_without_a_tokenizer_is_a_backbone_without_texts(clip, tmp_path, capsys):
    folder, _ = clip
    shutil.copytree(folder / "preset", tmp_path / "preset")
    (tmp_path / "preset/tokenizer.json").unlink()
    (tmp_path / "preset/preprocessor.json").unlink()
    network, _ = kept(tmp_path / "preset", tmp_path)
    assert isinstance(network, keras.Model)
    assert "no texts, for its tokenizer cannot be read" in capsys.readouterr().out
    assert not text_logits.kept(tmp_path / "texts")
