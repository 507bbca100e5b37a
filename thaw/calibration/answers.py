"""What the head and the fine-tuned network answer, for the stages calibrate and evaluate."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from thaw.evaluation.metrics import to_probabilities
from thaw.features import arrays, inference, store, trained
from thaw.features.frozen_backbone import FrozenNetwork
from thaw.features.provenance import of_backbone
from thaw.features.trained import LOGITS, Specs
from thaw.images.settings import Decoding
from thaw.models import weights
from thaw.models.settings import Backbone, Head
from thaw.project import paths
from thaw.project.provenance import check_provenance
from thaw.project.settings import Runtime


class Models(NamedTuple):
    """Both models, and the features that the head takes: float32 (n, ...), of all rows."""

    head: FrozenNetwork
    network: FrozenNetwork
    features: np.ndarray


class Answers(NamedTuple):
    """Logits of some images by model: float32 (m, 1) of two classes or (m, k) of k > 2."""

    head: np.ndarray
    fine_tuned: np.ndarray

    def probabilities(self) -> dict[str, np.ndarray]:
        """Return those of "head" and "fine_tuned", float64 (m, k), before calibration."""
        return {name: to_probabilities(each) for name, each in self._asdict().items()}


def load(
    specs: tuple[Backbone, Head], decoding: Decoding, runtime: Runtime, rows: int, classes: int
) -> Models:
    """Return what train_head and fine_tune left, for a manifest of so many rows and classes.

    `decoding`: of the set. They run on the engine of the features, at float32. Raises UserError
    when files do not fit one another.
    """
    spec, head_spec = specs
    cached = arrays.load(paths.FEATURES, head_spec.pooling, rows)
    found = arrays.read_provenance(paths.FEATURES)
    check_provenance(found, of_backbone(spec, decoding), paths.FEATURES, "extract")
    for file, stage in ((paths.HEAD, "train_head"), (paths.FINE_TUNED, "fine_tune")):
        check_provenance(weights.read_provenance(file), found, file, stage)
    of = Specs(spec, head_spec, classes, found["engine"])
    with store.open_store(runtime) as kept:
        head = trained.head(of, cached.shape[1:], paths.HEAD, kept)
        return Models(head, trained.network(of, paths.FINE_TUNED, kept), cached)


def ask(models: Models, rows: np.ndarray, batches: Iterable[tuple[object, np.ndarray]]) -> Answers:
    """Return the logits of the images of some rows; `batches`: their pixels, in this order."""
    [of_head] = models.head.ready()([models.features[rows]])
    of_network = inference.with_places(models.network.ready(), batches)
    logits = [outputs[LOGITS] for _, outputs in of_network]
    return Answers(of_head[LOGITS], np.concatenate(logits))
