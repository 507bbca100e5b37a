"""Presets of KerasHub in the stages, each family with a tiny one that the test saves."""

import numpy as np
import pytest

from tests import tiny_presets
from tests.conftest import STAGES, run_stage, set_params
from tests.tiny_presets import BACKBONES, SIZE, WITH_CLASS_TOKEN
from thaw.evaluation import gradcam
from thaw.export import formats, verification
from thaw.export.settings import Export
from thaw.models import classifier
from thaw.models.settings import Backbone, Head
from thaw.project import params, paths
from thaw.project.errors import UserError

pytestmark = pytest.mark.slow
WHOLE = ("ViT", "ResNet")  # that pass all stages
# ONNX has not the grouped convolutions of these, as Keras gives them to TensorFlow.
REFUSED = dict.fromkeys(("MobileNetV3", "MobileNetV5", "HGNetV2"), ("onnx",))


@pytest.mark.parametrize("family", BACKBONES)
def test_a_preset_passes_the_stages(family, project):
    tiny_presets.save(family, project / "preset")
    pooling = "cls" if family in WITH_CLASS_TOKEN else "avg"
    changes = {
        "backbone": {"name": "./preset", "weights": "imagenet", "image_size": SIZE},
        "head": {"pooling": pooling},
        "fine_tune": {"unfreeze": "1 block", "layer_decay": 0.5, "learning_rate": 0.001},
        "export": {"formats": [*formats.EXPORT_FORMATS]},
    }
    set_params(project / "params.yaml", changes)
    for name in STAGES if family in WHOLE else STAGES[: STAGES.index("calibrate")]:
        run_stage(name)
    (project / "preset").rename(project / "gone")  # what comes after needs the weights alone
    spec, head = params.load(Backbone, "backbone"), params.load(Head, "head")
    network = classifier.load(spec, head, 3, paths.FINE_TUNED)
    check_gradcam(network)
    if family not in WHOLE:
        check_formats(classifier.with_probabilities(network), project, REFUSED.get(family, ()))


def check_gradcam(network) -> None:
    """Grad-CAM finds feature maps that the class depends on."""
    pixels = np.random.default_rng(2).integers(0, 256, (3, SIZE, SIZE, 3)).astype("float32")
    heats = [gradcam.heatmaps(network, pixels, np.full(3, label)) for label in range(3)]
    assert min(heats[0].shape[1:]) >= 4
    assert max(each.max() for each in heats) == 1


def check_formats(model, folder, refused: tuple[str, ...]) -> None:
    """Every format gives Keras' probabilities, but for the coarse one of 8 bits, or is refused."""
    pixels = np.random.default_rng(4).integers(0, 256, (3, SIZE, SIZE, 3)).astype("uint8")
    truth = model.predict(pixels.astype("float32"), verbose=0).argmax(axis=1)
    export = params.load(Export, "export").model_copy(update={"int8_tolerance": 100.0})

    def write(*names: str) -> None:
        settings, place = export.model_copy(update={"formats": [*names]}), folder / names[0]
        verification.write(model, ["a", "b", "c"], {}, settings.names, lambda: pixels, place)
        verification.compare(model, truth, pixels, place, settings)

    write(*(name for name in formats.EXPORT_FORMATS if name not in refused))
    for name in refused:
        with pytest.raises(UserError, match=f"not exported, as {name} fails on this network"):
            write(name)
