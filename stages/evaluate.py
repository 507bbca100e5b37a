"""Score the head and the fine-tuned network on the test images.

Reads  data/manifest.csv, data/columns.csv, data/split.csv, data/raw/, data/features/, both models
Writes metrics/scores.json: the few numbers that DVC compares between runs
       metrics/test.json: all scores of each model, and the gain of fine-tuning
       metrics/evaluate/: of the fine-tuned network, confusion.csv (actual, predicted), roc.csv and
       reliability.csv; recall.csv by class of both, with intervals, precision and F1;
       slices.csv, the accuracy of parts of the test images; plots/ has what DVC plots
       data/predictions.csv: path, label, both predictions, the fine-tuned probabilities by class
"""

import numpy as np

from thaw.models.tf_setup import make_deterministic
from thaw.data import manifest, value_range
from thaw.evaluation import class_choice, class_scores, metrics, slices
from thaw.evaluation.run_result import RunResult
from thaw.evaluation.settings import Evaluate
from thaw.features import arrays
from thaw.features.provenance import of_backbone
from thaw.images.loader import ImageLoader
from thaw.images.settings import Decoding
from thaw.models import classifier, heads, weights
from thaw.models.settings import Backbone, Head
from thaw.project import files, params, paths
from thaw.project.cli import run
from thaw.project.provenance import check_provenance
from thaw.project.settings import Runtime

# Images in one call, for with another number the last digits may differ: not runtime.batch_size.
AT_ONCE = 16


def main() -> None:
    spec, head_spec = params.load(Backbone, "backbone"), params.load(Head, "head")
    settings = params.load(Evaluate, "evaluate")
    decoding, runtime = params.load(Decoding, "images"), params.load(Runtime, "runtime")
    result = RunResult()
    decoding = value_range.of_set(decoding, result.rows)
    rows, truth, names = result.rows.iloc[result.test], result.truth[result.test], result.classes

    make_deterministic()
    cached = arrays.load(paths.FEATURES, head_spec.pooling, len(result.rows))
    head = heads.load(head_spec, cached.shape[1:], len(names), paths.HEAD)
    network = classifier.load(spec, head_spec, len(names), paths.FINE_TUNED)
    found = arrays.read_provenance(paths.FEATURES)
    check_provenance(found, of_backbone(spec, decoding), paths.FEATURES, "extract")
    for file, stage in ((paths.HEAD, "train_head"), (paths.FINE_TUNED, "fine_tune")):
        check_provenance(weights.read_provenance(file), found, file, stage)
    loader = ImageLoader(spec.size, decoding, runtime.threads, result.digests)
    batches = loader.batches(result.images(result.test), AT_ONCE, "evaluate")
    brightness = slices.Brightness()
    of_head = metrics.to_probabilities(head.predict(cached[result.test], verbose=0))
    of_network = metrics.to_probabilities(
        np.concatenate(
            [network.predict_on_batch(pixels) for _, pixels in brightness.noted(batches)]
        )
    )

    scores = metrics.compare(truth, of_head, of_network, settings.confidence)
    predicted = {"head": of_head.argmax(axis=1), "fine_tuned": of_network.argmax(axis=1)}
    tables = {
        "confusion": metrics.confusion(truth, predicted["fine_tuned"], names),
        "recall": class_scores.by_class(truth, predicted, names, settings.confidence),
        "roc": metrics.roc(truth, of_network),
        "reliability": metrics.reliability(truth, of_network),
        "slices": slices.table(
            slices.parts(
                rows, brightness.values, manifest.read_table(paths.COLUMNS, needs=("path",))
            ),
            predicted["fine_tuned"] == truth,
            settings.confidence,
        ),
    }
    files.write_json(paths.SCORES, metrics.headline(scores, result.split))
    files.write_json(paths.TEST, scores)
    with files.replacing(paths.EVALUATION) as folder:
        for name, table in tables.items():
            files.write_csv(folder / f"{name}.csv", table)
        for name, table in class_choice.for_plots(tables["recall"], tables["confusion"]).items():
            files.write_csv(folder / f"plots/{name}.csv", table)
    files.write_csv(paths.PREDICTIONS, metrics.predictions(rows, predicted, of_network, names))
    print(metrics.summary(scores))


if __name__ == "__main__":
    run(main)
