import json
import sys

import pytest

from benchmarks import tutorial_script
from tests import tiny
from tests.conftest import CLASSES, draw_images
from thaw.models import backbones


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3])
def test_the_tutorial_learns_any_number_of_classes_and_scores_the_test_images(
    tmp_path, monkeypatch, classes
):
    """The classes of the test images are swapped, so that it is wrong there."""
    names, parts = [*CLASSES][:classes], tmp_path / "images"
    for seed, (part, count) in enumerate({"train": 33, "validation": 7, "test": 5}.items()):
        draw_images(parts / part, dict.fromkeys(names, count), seed)
    for name in names:
        (parts / "test" / name).rename(parts / "test" / f"was {name}")
    for name, other in zip(names, names[1:] + names[:1]):
        (parts / "test" / f"was {name}").rename(parts / "test" / other)
    tiny.register()
    outputs, unfreeze = [], tutorial_script.unfreeze

    def remember(model, *more):
        outputs.append(model.output_shape[-1])
        unfreeze(model, *more)

    monkeypatch.setattr(tutorial_script, "unfreeze", remember)
    network = backbones.network(tiny.NAME, 32)
    monkeypatch.setattr(tutorial_script.pretrained, "load", lambda *_: network)
    monkeypatch.setattr(tutorial_script, "LEARNING_RATE", 0.03)
    out = tmp_path / "out.json"
    words = [str(parts), "--size", "32", "--seed", "3", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["tutorial_script", *words])
    tutorial_script.main()
    assert outputs == [1 if classes == 2 else 3]
    assert json.loads(out.read_text())["accuracy"] < 0.2
