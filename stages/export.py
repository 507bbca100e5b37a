"""Write the classifier that others use: raw pixels in, one probability per class out.

Reads  data/manifest.csv, data/split.csv, data/raw/, models/fine_tuned.weights.h5,
       models/backbone.weights.h5 (with export.unknown),
       models/calibration/ (its temperature is part of the classifier), and for the model card and
       the gate metrics/split.json, metrics/test.json, metrics/evaluate/
Writes models/export/: the classifier in each of `export.formats`, all of which take
       float32 (n, size, size, 3), RGB 0..255 and give float32 (n, classes), and with
       export.unknown how known an image looks; labels.json with the
       class names in the order of the probabilities, input.json, MODEL_CARD.md
       metrics/export.json: each format's size, its time for an image, its difference from Keras
"""

import numpy as np
import pandas as pd

import thaw.models.tf_setup  # noqa: F401  first, before Keras
from thaw.calibration import known
from thaw.calibration.saved import Calibration
from thaw.data import manifest, value_range
from thaw.evaluation.run_result import RunResult
from thaw.export import input_json, keras_file, model_card, verification
from thaw.export.settings import Export, check_installed
from thaw.features.provenance import of_backbone
from thaw.images.loader import ImageLoader
from thaw.images.settings import Decoding
from thaw.models import backbones, classifier, weights
from thaw.models.settings import Backbone, Head
from thaw.project import files, params, paths
from thaw.project.cli import run
from thaw.project.provenance import check_provenance


def main() -> None:
    spec, head_spec = params.load(Backbone, "backbone"), params.load(Head, "head")
    decoding, settings = params.load(Decoding, "images"), params.load(Export, "export")
    check_installed(settings)
    result = RunResult()
    decoding = value_range.of_set(decoding, result.rows)
    loader = ImageLoader(spec.size, decoding, digests=result.digests)
    verification.check_gate(result.test_scores, settings)
    found = weights.read_provenance(paths.FINE_TUNED)
    check_provenance(found, of_backbone(spec, decoding), paths.FINE_TUNED, "fine_tune")

    classes = result.classes
    network = classifier.load(spec, head_spec, len(classes), paths.FINE_TUNED)
    calibration = Calibration.read(paths.CALIBRATION)
    model = classifier.with_probabilities(network, calibration.temperature["fine_tuned"])
    threshold = None
    if settings.unknown:
        threshold = {"unknown_below": known.threshold(calibration)}
        model = known.join(model, backbones.load(spec, paths.BACKBONE), calibration)
    needs = keras_file.needs(model)
    contract = input_json.contract(spec.size, decoding, calibration.unsure, threshold, needs)
    train, test = (some(result.truth, rows) for rows in (result.train, result.test))
    with files.replacing(paths.EXPORT) as folder:
        verification.write(
            model, classes, contract, settings.names,
            lambda: loader.stack(result.images(train)), folder,
        )  # fmt: skip
        pixels = loader.stack(result.images(test))
        table = verification.compare(model, result.truth[test], pixels, folder, settings)
        card = model_card.card(
            params.read(), result, contract, model.count_params(), table, len(test)
        )
        (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    files.write_json(paths.EXPORT_REPORT, table)
    print(f"{paths.EXPORT}: {len(classes)} classes, {spec.size} px; on {len(test)} test images")
    print(pd.DataFrame(table).T.to_string())


def some(truth: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return as many of the rows as are compared, of each class equally many."""
    return rows[manifest.first_of_each_class(truth[rows], verification.IMAGES)]


if __name__ == "__main__":
    run(main)
