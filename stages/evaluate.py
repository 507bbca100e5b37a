"""Score the head and the fine-tuned network on the test images.

Reads  data/manifest.csv, data/columns.csv, data/split.csv, data/raw/, data/features/, both models,
       models/calibration/
Writes metrics/scores.json: the few numbers that DVC compares between runs
       metrics/test.json: all scores of each model, some also before calibration, the accuracy of
       a baseline without training, the gain of fine-tuning, the fraction of images that is refused
       as unknown or unsure, and how many classes name the right one in 95 % of images
       metrics/evaluate/: of the fine-tuned network, confusion.csv (actual, predicted), roc.csv and
       reliability.csv; recall.csv by class of both, with intervals, precision and F1;
       slices.csv, the accuracy of parts of the test images; plots/ has what DVC plots
       data/predictions.csv: path, label, both predictions, the fine-tuned network's
       calibrated probabilities by class
"""

import numpy as np

from thaw.calibration import answers, sets
from thaw.calibration.saved import Calibration
from thaw.data import manifest, value_range
from thaw.evaluation import baseline, class_choice, class_scores, metrics, slices
from thaw.evaluation.run_result import RunResult
from thaw.evaluation.settings import Evaluate
from thaw.features import arrays
from thaw.images.loader import ImageLoader
from thaw.images.settings import Decoding
from thaw.models.settings import Backbone, Head
from thaw.project import files, params, paths
from thaw.project.cli import run
from thaw.project.settings import Runtime


def main() -> None:
    spec, head_spec = params.load(Backbone, "backbone"), params.load(Head, "head")
    settings = params.load(Evaluate, "evaluate")
    decoding, runtime = params.load(Decoding, "images"), params.load(Runtime, "runtime")
    result = RunResult()
    decoding = value_range.of_set(decoding, result.rows)
    rows, truth, names = result.rows.iloc[result.test], result.truth[result.test], result.classes

    calibration = Calibration.read(paths.CALIBRATION)
    models = answers.load((spec, head_spec), decoding, runtime, len(result.rows), len(names))
    loader = ImageLoader(spec.size, decoding, runtime.threads, result.digests)
    batches = loader.batches(result.images(result.test), runtime.batch_size, "evaluate")
    brightness = slices.Brightness()
    before = answers.ask(models, result.test, brightness.noted(batches)).probabilities()
    after = {name: calibration.apply(each, name) for name, each in before.items()}

    scores = compare(truth, before, after, settings.confidence)
    features = arrays.load(paths.FEATURES, arrays.POOLING, len(result.rows))
    scores["baseline"] = without_training(result, features, settings.confidence)
    scores["refused"] = calibration.refused(features[result.test], before["fine_tuned"])
    limit = calibration.set_limit(sets.STATED)
    scores["sets"] = {"asked": sets.STATED, **sets.reached(truth, after["fine_tuned"], limit)}
    predicted = {name: each.argmax(axis=1) for name, each in after.items()}
    columns = manifest.read_table(paths.COLUMNS, needs=("path",))
    parts = slices.parts(rows, brightness.values, columns)
    tables = {
        "confusion": metrics.confusion(truth, predicted["fine_tuned"], names),
        "recall": class_scores.by_class(truth, predicted, names, settings.confidence),
        "roc": metrics.roc(truth, after["fine_tuned"]),
        "reliability": metrics.reliability(truth, after["fine_tuned"]),
        "slices": slices.table(parts, predicted["fine_tuned"] == truth, settings.confidence),
    }
    files.write_json(paths.SCORES, metrics.headline(scores, result.split))
    files.write_json(paths.TEST, scores)
    plotted = class_choice.for_plots(tables["recall"], tables["confusion"])
    tables |= {f"plots/{name}": table for name, table in plotted.items()}
    with files.replacing(paths.EVALUATION) as folder:
        for name, table in tables.items():
            files.write_csv(folder / f"{name}.csv", table)
    table = metrics.predictions(rows, predicted, after["fine_tuned"], names)
    files.write_csv(paths.PREDICTIONS, table)
    print(metrics.summary(scores))
    print(metrics.calibration_summary(scores["fine_tuned"]))


def compare(
    truth: np.ndarray,
    before: dict[str, np.ndarray],
    after: dict[str, np.ndarray],
    confidence: float,
) -> dict[str, dict]:
    """Return what `metrics.compare` says of probabilities after calibration, and some before."""
    scores = metrics.compare(truth, after["head"], after["fine_tuned"], confidence)
    for name, each in before.items():
        scores[name]["uncalibrated"] = metrics.proper_scores(truth, each)
    return scores


def without_training(result: RunResult, features: np.ndarray, confidence: float) -> dict:
    """Return the accuracy on the test images of each probe that is fitted to the training ones."""
    found = baseline.predict(features, result.truth, result.train, result.test)
    truth = result.truth[result.test]
    return {name: metrics.accuracy(truth, each, confidence) for name, each in found.items()}


if __name__ == "__main__":
    run(main)
