"""Write the finished classifier in a form that needs none of this project's code."""

import json
from pathlib import Path
from typing import Annotated

import keras
from pydantic import Field

from stages.lib.errors import UserError
from stages.lib.params import Section


class Export(Section):
    """When a classifier is good enough to leave."""

    min_accuracy: Annotated[float, Field(ge=0, le=1)] | None


def check_gate(scores: dict, settings: Export) -> None:
    """Raise UserError when the fine-tuned test accuracy is under `min_accuracy`; None: no gate."""
    accuracy = scores["fine_tuned"]["accuracy"]
    if settings.min_accuracy is not None and accuracy < settings.min_accuracy:
        raise UserError(
            f"not exported: the test accuracy {accuracy} is under params.yaml "
            f"[export.min_accuracy]: {settings.min_accuracy}; improve the model or lower the gate"
        )


def write(model: keras.Model, classes: list[str], folder: Path) -> None:
    """Write model.keras and labels.json into the new `folder`.

    `model`: pixels float32 (n, size, size, 3), RGB 0..255 -> probabilities float32 (n, classes), in
    the order of labels.json.
    """
    folder.mkdir(parents=True)
    model.save(folder / "model.keras")
    (folder / "labels.json").write_text(json.dumps(classes, indent=2, ensure_ascii=False) + "\n")
