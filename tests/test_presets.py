"""Presets of KerasHub in the stages, each family with a tiny one that the test saves."""

import numpy as np
import pytest

from tests import tiny_presets
from tests.conftest import enter_copy, run_stage, set_params
from tests.tiny_presets import BACKBONES, SIZE, WITH_CLASS_TOKEN
from thaw.evaluation import gradcam
from thaw.export import formats
from thaw.models import classifier
from thaw.models.settings import Backbone, Head
from thaw.project import params, paths

pytestmark = pytest.mark.slow
WHOLE = ("ViT", "ResNet")  # that pass all stages


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A project whose images were checked and split."""
    import shutil

    from tests.conftest import TINY, draw_images
    from tests.imports import ROOT

    folder = tmp_path_factory.mktemp("prepared")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copy(ROOT / "params.yaml", folder)
        set_params(folder / "params.yaml", TINY)
        draw_images(folder / "images")
        for name in ("download", "split"):
            run_stage(name)
    return folder


@pytest.mark.parametrize("family", BACKBONES)
def test_a_preset_passes_the_stages(family, prepared, tmp_path, monkeypatch):
    project = enter_copy(prepared, tmp_path / "copy", monkeypatch)
    tiny_presets.save(family, project / "preset")
    pooling = "cls" if family in WITH_CLASS_TOKEN else "avg"
    changes = {
        "backbone": {"name": "./preset", "weights": "imagenet", "image_size": SIZE},
        "head": {"pooling": pooling},
        "fine_tune": {"unfreeze": "1 block", "layer_decay": 0.5, "learning_rate": 0.001},
        "export": {"formats": [*formats.EXPORT_FORMATS]},
    }
    set_params(project / "params.yaml", changes)
    for name in ("backbone", "extract", "augment", "train_head", "fine_tune"):
        run_stage(name)
    whole = ("calibrate", "evaluate", "figures", "export") if family in WHOLE else ()
    for name in whole:
        run_stage(name)
    (project / "preset").rename(project / "gone")  # what comes after needs the weights alone
    spec, head = params.load(Backbone, "backbone"), params.load(Head, "head")
    network = classifier.load(spec, head, 3, paths.FINE_TUNED)
    check_gradcam(network)
    if family not in WHOLE:
        check_formats(classifier.with_probabilities(network), tmp_path)


def check_gradcam(network) -> None:
    """Grad-CAM finds feature maps that the class depends on."""
    pixels = np.random.default_rng(2).integers(0, 256, (3, SIZE, SIZE, 3)).astype("float32")
    heats = [gradcam.heatmaps(network, pixels, np.full(3, label)) for label in range(3)]
    assert heats[0].shape[1:] >= (4, 4)
    assert max(each.max() for each in heats) == 1


def check_formats(model, folder) -> None:
    """Every format gives Keras' probabilities, but for the coarse one of 8 bits."""
    pixels = np.random.default_rng(4).integers(0, 256, (3, SIZE, SIZE, 3)).astype("float32")
    expected = model.predict(pixels, verbose=0)
    for name, each in formats.EXPORT_FORMATS.items():
        each.write(model, folder / each.file, lambda: pixels.astype("uint8"))
        got = each.open(folder / each.file)(pixels)
        assert np.allclose(got.sum(axis=1), 1, atol=0.02), name
        if name not in formats.QUANTIZED:
            assert np.abs(got - expected).max() <= 1e-4, name
