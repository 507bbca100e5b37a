"""Score the head and the fine-tuned network on the test pictures.

Reads  data/manifest.csv, data/split.csv, data/raw/, data/features/, both models
Writes metrics/test.json: each model's scores, and the gain of fine-tuning
       metrics/evaluate/: of the fine-tuned network, confusion.csv (actual, predicted), roc.csv and
       reliability.csv; recall.csv by class of both
       data/predictions.csv: path, label, both predictions, the fine-tuned probabilities by class
"""

import numpy as np

import stages.lib.quiet  # noqa: F401  first, before Keras
from stages.lib import (
    backbones,
    classifier,
    features,
    files,
    fingerprints,
    heads,
    manifest,
    params,
    paths,
    pictures,
    scores,
    weights,
)
from stages.lib.determinism import make_deterministic
from stages.lib.errors import run
from stages.lib.runtime import Runtime


def main() -> None:
    spec, head_spec = params.load(backbones.Backbone, "backbone"), params.load(heads.Head, "head")
    settings = params.load(scores.Evaluate, "evaluate")
    decoding = params.load(pictures.Pictures, "pictures")
    runtime = params.load(Runtime, "runtime")
    everything = manifest.read(paths.MANIFEST)
    names = manifest.classes(everything)
    test = np.flatnonzero(manifest.read_split(paths.SPLIT, everything) == "test")
    rows, truth = everything.iloc[test], manifest.class_indices(everything)[test]
    images = manifest.image_paths(rows, paths.RAW)

    make_deterministic()
    cached = features.load(paths.FEATURES, head_spec.pooling, len(everything))
    head = heads.load(head_spec, cached.shape[1:], len(names), paths.HEAD)
    whole = classifier.load(spec, head_spec, len(names), paths.FINE_TUNED)
    fingerprint = features.fingerprint(paths.FEATURES)
    fingerprints.check(
        fingerprint, backbones.fingerprint(spec, decoding), paths.FEATURES, "extract"
    )
    for file, stage in ((paths.HEAD, "train_head"), (paths.FINE_TUNED, "fine_tune")):
        fingerprints.check(weights.fingerprint(file), fingerprint, file, stage)
    batches = pictures.batches(
        images, spec.size, decoding, runtime.batch_size, runtime.threads, "evaluate"
    )
    by_head = scores.probabilities(head.predict(cached[test], verbose=0))
    by_whole = scores.probabilities(
        np.concatenate([whole.predict_on_batch(pixels) for _, pixels in batches])
    )
    guesses = {"head": by_head.argmax(axis=1), "fine_tuned": by_whole.argmax(axis=1)}

    table = scores.compare(truth, by_head, by_whole, settings.confidence)
    files.write_json(paths.TEST, table)
    with files.replacing(paths.EVALUATION) as folder:
        confusion = scores.confusion(truth, guesses["fine_tuned"], names)
        files.write_csv(folder / "confusion.csv", confusion)
        files.write_csv(folder / "recall.csv", scores.recall_by_class(truth, guesses, names))
        files.write_csv(folder / "roc.csv", scores.roc(truth, by_whole))
        files.write_csv(folder / "reliability.csv", scores.reliability(truth, by_whole))
    files.write_csv(paths.PREDICTIONS, scores.predictions(rows, guesses, by_whole, names))
    print(scores.summary(table))


if __name__ == "__main__":
    run(main)
