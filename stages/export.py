"""Write the classifier that others use: raw pixels in, one probability per class out.

Reads  data/manifest.csv, data/split.csv, data/raw/, models/fine_tuned.weights.h5, and for the model
       card and the gate metrics/split.json, metrics/test.json, metrics/evaluate/
Writes models/export/: the classifier in each of `export.formats`, all of which take
       float32 (n, size, size, 3), RGB 0..255 and give float32 (n, classes); labels.json with the
       class names in the order of the probabilities, input.json, MODEL_CARD.md
       metrics/export.json: each format's size, its time for a picture, its distance from Keras
"""

import json

import numpy as np
import pandas as pd

import stages.lib.quiet  # noqa: F401  first, before Keras
from stages.lib import (
    backbones,
    classifier,
    exporting,
    files,
    fingerprints,
    heads,
    manifest,
    model_card,
    params,
    paths,
    pictures,
    weights,
)
from stages.lib.errors import run


def main() -> None:
    spec, head_spec = params.load(backbones.Backbone, "backbone"), params.load(heads.Head, "head")
    decoding = params.load(pictures.Pictures, "pictures")
    settings = params.load(exporting.Export, "export")
    exporting.check_installed(settings)
    scores = json.loads(paths.TEST.read_text())
    exporting.check_gate(scores, settings)
    rows = manifest.read(paths.MANIFEST)
    classes, split = manifest.classes(rows), manifest.read_split(paths.SPLIT, rows)
    rows["class"] = manifest.class_indices(rows)
    made_with = weights.fingerprint(paths.FINE_TUNED)
    fingerprints.check(
        made_with, backbones.fingerprint(spec, decoding), paths.FINE_TUNED, "fine_tune"
    )

    def decoded(chosen: pd.DataFrame) -> np.ndarray:
        images = manifest.image_paths(chosen, paths.RAW)
        return np.stack([pictures.load(image, spec.size, decoding) for image in images])

    model = classifier.with_probabilities(
        classifier.load(spec, head_spec, len(classes), paths.FINE_TUNED)
    )
    train, test = (some(rows[split == part]) for part in ("train", "test"))
    with files.replacing(paths.EXPORT) as folder:
        exporting.write(model, classes, decoding, settings.names, lambda: decoded(train), folder)
        table = exporting.compare(model, test["class"].to_numpy(), decoded(test), folder, settings)
        card = model_card.card(
            params.read(),
            exporting.contract(spec.size, decoding),
            json.loads(paths.SPLIT_REPORT.read_text()),
            scores,
            manifest.read(paths.EVALUATION / "recall.csv"),
            manifest.read(paths.EVALUATION / "reliability.csv"),
            model.count_params(),
            table,
            len(test),
        )
        (folder / "MODEL_CARD.md").write_text(card)
    files.write_json(paths.EXPORT_REPORT, table)
    print(f"{paths.EXPORT}: {len(classes)} classes, {spec.size} px; on {len(test)} test pictures")
    print(pd.DataFrame(table).T.to_string())


def some(rows: pd.DataFrame) -> pd.DataFrame:
    """Return so many of the rows as are compared, of all classes as many."""
    return rows.iloc[manifest.first_of_each_class(rows["class"].to_numpy(), exporting.PICTURES)]


if __name__ == "__main__":
    run(main)
