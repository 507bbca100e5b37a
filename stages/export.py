"""Write the classifier that others use: raw pixels in, one probability per class out.

Reads  data/manifest.csv (class names), models/fine_tuned.weights.h5, metrics/test.json (the gate)
Writes models/export/model.keras: float32 (n, size, size, 3), RGB 0..255 -> float32 (n, classes)
       models/export/labels.json: the class names in the order of the probabilities
"""

import json

import stages.lib.quiet  # noqa: F401  first, before Keras
from stages.lib import (
    backbones,
    classifier,
    exporting,
    files,
    fingerprints,
    heads,
    manifest,
    params,
    paths,
    weights,
)
from stages.lib.errors import run


def main() -> None:
    spec, head_spec = params.load(backbones.Backbone, "backbone"), params.load(heads.Head, "head")
    settings = params.load(exporting.Export, "export")
    exporting.check_gate(json.loads(paths.TEST.read_text()), settings)
    classes = manifest.classes(manifest.read(paths.MANIFEST))
    made_with = weights.fingerprint(paths.FINE_TUNED)
    fingerprints.check(made_with, backbones.fingerprint(spec), paths.FINE_TUNED, "fine_tune")
    model = classifier.load(spec, head_spec, len(classes), paths.FINE_TUNED)
    with files.replacing(paths.EXPORT) as folder:
        exporting.write(classifier.with_probabilities(model), classes, folder)
    print(f"{paths.EXPORT / 'model.keras'}: {len(classes)} classes, {spec.size} px")


if __name__ == "__main__":
    run(main)
