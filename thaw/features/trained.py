"""The head and the fine-tuned network as an engine runs them, for those who test them.

OpenVINO's forms of both are kept in the feature store. fine_tune, which has TensorFlow at hand,
leaves them there, so that calibrate and evaluate do not wait for it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thaw.features import frozen_backbone, provenance
from thaw.features.frozen_backbone import FrozenNetwork
from thaw.features.parity import check_parity
from thaw.features.store import FeatureStore
from thaw.models.settings import Backbone, Head
from thaw.project import files, snapshots

if TYPE_CHECKING:
    import keras

LOGITS = "logits"
PROBES = 2  # inputs that the parity gate looks at
DIFFERS = "take the other extract.engine, and report this network"


class Specs(NamedTuple):
    """Which head and network weights files are of, of how many classes, and what runs them."""

    backbone: Backbone
    head: Head
    classes: int
    engine: str


def head(of: Specs, shape: tuple[int, ...], file: Path, kept: FeatureStore) -> FrozenNetwork:
    """Return the head of a weights file: features float32 (n, *shape) -> {LOGITS: (n, k)}."""

    def load(copy: Path) -> "keras.Model":
        from thaw.models import heads

        return heads.load(of.head, shape, of.classes, copy)

    about = {"head": of.head.model_dump(), "shape": shape, "classes": of.classes}
    return _converted(load, about, file, of.engine, kept)


def network(
    of: Specs, file: Path, kept: FeatureStore, model: "keras.Model | None" = None
) -> FrozenNetwork:
    """Return the fine-tuned network of a weights file: pixels RGB 0..255 -> {LOGITS: (n, k)}.

    `model`: the same, where it is at hand.
    """

    def load(copy: Path) -> "keras.Model":
        from thaw.models import classifier

        return model or classifier.load(of.backbone, of.head, of.classes, copy)

    about = provenance.of_network(of.backbone) | {"head": of.head.model_dump()}
    return _converted(load, about | {"classes": of.classes}, file, of.engine, kept)


def _converted(
    load: Callable[[Path], "keras.Model"], about: dict, file: Path, engine: str, kept: FeatureStore
) -> FrozenNetwork:
    """Return a model of logits, converted once; whoever converts it holds it to Keras.

    Raises UserError when the file is missing or damaged, or the two forms differ.
    """
    digest = files.sha256(file)

    def make() -> "keras.Model":
        from thaw.models.tf_setup import make_deterministic  # isort: skip  first, before Keras
        import keras

        make_deterministic()
        with snapshots.copied(file, digest) as copy:
            model = load(copy)
        return keras.Model(model.input, {LOGITS: model.output})

    def hold(model: "keras.Model", found: FrozenNetwork) -> None:
        random = np.random.default_rng(0)
        probes = random.uniform(0, 255, (PROBES, *model.input_shape[1:])).astype("float32")
        [got] = found.ready()([probes])
        expected = model(probes, training=False)
        ways = f"Keras and {engine}, with the weights of {file},"
        check_parity(got[LOGITS], expected[LOGITS], ways, DIFFERS)

    about = {"converted": "trained", **about, "weights_sha256": digest}
    how = {"engine": engine, "precision": "float32"}
    return frozen_backbone.converted_once(make, about, how, kept, hold=hold)
