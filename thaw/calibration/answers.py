"""What the head and the fine-tuned network answer, for the stages calibrate and evaluate."""

from collections.abc import Iterable
from typing import NamedTuple

import keras
import numpy as np

from thaw.evaluation.metrics import to_probabilities
from thaw.features import arrays
from thaw.features.provenance import of_backbone
from thaw.images.settings import Decoding
from thaw.models import classifier, heads, weights
from thaw.models.settings import Backbone, Head
from thaw.project import paths
from thaw.project.provenance import check_provenance

# Images in one call, for with another number the last digits may differ: not runtime.batch_size.
AT_ONCE = 16


class Models(NamedTuple):
    """Both models, and the features that the head takes: float32 (n, ...), of all rows."""

    head: keras.Model
    network: keras.Model
    features: np.ndarray


class Answers(NamedTuple):
    """Logits of some images by model: float32 (m, 1) of two classes or (m, k) of k > 2."""

    head: np.ndarray
    fine_tuned: np.ndarray

    def probabilities(self) -> dict[str, np.ndarray]:
        """Return those of "head" and "fine_tuned", float64 (m, k), before calibration."""
        return {name: to_probabilities(each) for name, each in self._asdict().items()}


def load(spec: Backbone, head_spec: Head, decoding: Decoding, rows: int, classes: int) -> Models:
    """Return what train_head and fine_tune left, for a manifest of so many rows and classes.

    `decoding`: of the set. Raises UserError when files do not fit one another.
    """
    cached = arrays.load(paths.FEATURES, head_spec.pooling, rows)
    head = heads.load(head_spec, cached.shape[1:], classes, paths.HEAD)
    network = classifier.load(spec, head_spec, classes, paths.FINE_TUNED)
    found = arrays.read_provenance(paths.FEATURES)
    check_provenance(found, of_backbone(spec, decoding), paths.FEATURES, "extract")
    for file, stage in ((paths.HEAD, "train_head"), (paths.FINE_TUNED, "fine_tune")):
        check_provenance(weights.read_provenance(file), found, file, stage)
    return Models(head, network, cached)


def ask(models: Models, rows: np.ndarray, batches: Iterable[tuple[object, np.ndarray]]) -> Answers:
    """Return the logits of the images of some rows; `batches`: their pixels, in this order."""
    of_head = models.head.predict(models.features[rows], verbose=0)
    of_network = [models.network.predict_on_batch(pixels) for _, pixels in batches]
    return Answers(of_head, np.concatenate(of_network))
