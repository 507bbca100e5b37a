"""Learn from the validation images how far to trust an answer. No weight changes.

Reads  data/manifest.csv, data/split.csv, data/raw/, data/features/, both models
Writes models/calibration/: calibration.json (the temperature of each model, and the thresholds of
       "unsure" and "unknown"), references.npy and spacing.npy (features of training images),
       validation_logits.npy (of the fine-tuned network) and validation_classes.npy
"""

from thaw.calibration import answers, saved, unknown
from thaw.calibration.settings import Calibrate
from thaw.data import value_range
from thaw.evaluation.run_result import RunResult
from thaw.features import arrays
from thaw.images.loader import ImageLoader
from thaw.images.settings import Decoding
from thaw.models.settings import Backbone, Head
from thaw.project import files, params, paths
from thaw.project.cli import run
from thaw.project.settings import Runtime


def main() -> None:
    spec, head_spec = params.load(Backbone, "backbone"), params.load(Head, "head")
    settings = params.load(Calibrate, "calibrate")
    decoding, runtime = params.load(Decoding, "images"), params.load(Runtime, "runtime")
    result = RunResult()
    decoding = value_range.of_set(decoding, result.rows)
    rows, train = result.validation, unknown.some(result.train)

    counts = len(result.rows), len(result.classes)
    models = answers.load((spec, head_spec), decoding, runtime, *counts)
    loader = ImageLoader(spec.size, decoding, runtime.threads, result.digests)
    batches = loader.batches(result.images(rows), runtime.batch_size, "calibrate")
    found = answers.ask(models, rows, batches)
    before = found.probabilities()
    features = arrays.load(paths.FEATURES, arrays.POOLING, len(result.rows))
    known = unknown.fit(features[train], features[rows], before["fine_tuned"], settings.known)
    calibration = saved.fit(
        result.truth[rows], before, found.fine_tuned, known, settings.target_accuracy
    )
    with files.replacing(paths.CALIBRATION) as folder:
        calibration.write(folder)
    print(calibration.summary())


if __name__ == "__main__":
    run(main)
