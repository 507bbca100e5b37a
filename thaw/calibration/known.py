"""How known an image looks, as part of a Keras model: `unknown.Unknown.score` in layers.

So any format that a model is converted to can tell images of none of the classes.
"""

import keras
import numpy as np
from keras import layers, ops

from thaw.calibration import unknown
from thaw.calibration.saved import Calibration
from thaw.features import arrays
from thaw.models import backbones

PROBABILITIES, KNOWN = "probabilities", "known"


def join(model: keras.Model, backbone: keras.Model, calibration: Calibration) -> keras.Model:
    """Return pixels -> {"probabilities": float32 (n, k), "known": float32 (n,)}.

    known: the larger, the more an image looks like those of the classes: `score` with another sign.
    model: the fine-tuned one, pixels -> calibrated probabilities (n, k). backbone: the frozen one,
    whose layers get other names.
    """
    backbone = backbones.for_pooling(backbone, arrays.POOLING)
    frozen = keras.Model(backbone.input, backbone.output, name="frozen")
    features = backbones.POOLINGS[arrays.POOLING](name="frozen_features")(frozen(model.input))
    standard = calibration.unknown.standards
    far, near = _distances(features, calibration.unknown)
    far = _scaled(far, standard["far"], 2)
    near = _scaled(near, standard["near"])
    evidence = _evidence(model.output, calibration.temperature["fine_tuned"])
    score = ops.maximum(far, near - _scaled(evidence, standard["evidence"]))
    outputs = {PROBABILITIES: model.output, KNOWN: layers.Rescaling(-1.0, name=KNOWN)(score)}
    return keras.Model(model.input, outputs, name="classifier")


def threshold(calibration: Calibration) -> float | None:
    """Return the `known` below which an image is unknown; None for no threshold."""
    found = calibration.unknown.threshold
    return None if found is None else -found


def _scaled(values: keras.KerasTensor, standard: tuple[float, float], times: float = 1.0):
    mean, spread = standard
    return layers.Rescaling(times / spread, -times * mean / spread)(values)


def _distances(features: keras.KerasTensor, known: unknown.Unknown) -> tuple:
    """Return the terms far and near of `unknown.terms`, (n,) each."""
    count = len(known.references)
    compare = layers.Dense(count, use_bias=False, name="references")
    similar = compare(layers.UnitNormalization()(features))
    compare.set_weights([known.references.astype("float32").T])
    nth, _ = ops.top_k(similar, min(unknown.NEIGHBOURS, count))
    spacing = layers.Embedding(count, 1, name="spacing")
    # by top_k, for OpenVINO 2026.4.1 does not know what Keras makes of argmax
    nearest, place = ops.top_k(similar, 1)
    of_nearest = spacing(place)
    spacing.set_weights([known.spacing[:, None]])
    near = _distance(ops.max(nearest, axis=-1)) / ops.max(of_nearest, axis=(-2, -1))
    return _distance(ops.min(nth, axis=-1)), near


def _distance(cosine: keras.KerasTensor) -> keras.KerasTensor:
    return ops.sqrt(layers.ReLU()(layers.Rescaling(-2.0, 2.0)(cosine)))


def _evidence(probabilities: keras.KerasTensor, temperature: float) -> keras.KerasTensor:
    """Return by how much the largest logit is above the mean, of calibrated probabilities.

    The logits are those before calibration, as a temperature does nothing but divide them.
    """
    logs = ops.log(ops.maximum(probabilities, float(np.float32(unknown.TINY))))
    return temperature * (ops.max(logs, axis=-1) - ops.mean(logs, axis=-1))
