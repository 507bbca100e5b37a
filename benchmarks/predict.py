"""How fast images are classified: `python -m benchmarks.predict FOLDER_OR_ARCHIVE --size 160`.

`tools.predict`'s own path, from JPEG files to a CSV file, beside extract's engine on the same
images. Both have the same network and are ready to run. What starting takes is timed apart, as
`python -m tools.predict` on one image, whose network was converted before. The classifier has a
random head, which costs what a trained one does. Writes benchmarks/predict.json, with the largest
difference of a probability from Keras'.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import thaw.models.tf_setup  # noqa: F401  first, before Keras
from benchmarks.extract import decoded
from benchmarks.photos import unpacked
from benchmarks.tables import block
from benchmarks.timing import alternate, rates, save
from thaw.features import inference
from thaw.labels import layout
from thaw.models import backbones, classifier, heads, pretrained
from thaw.models.settings import Backbone, Head
from thaw.project import params
from thaw.project.cli import run
from thaw.project.settings import Runtime
from thaw.sources.settings import Data
from tools.serving import batch_predict, rows
from tools.serving.predictor import load_predictor

LABELS = ["cats", "dogs"]


def seconds_to_start(export: Path, image: Path) -> float:
    """Return what classifying one image takes as a command, with a network that is converted."""
    command = [sys.executable, "-m", "tools.predict", "--model", str(export), str(image)]
    took = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        took.append(time.perf_counter() - began)
    return round(sorted(took)[1], 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--name", default="EfficientNetLite0")
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    spec = Backbone(name=options.name, weights="imagenet", image_size=options.size)
    data, runtime = params.load(Data, "data"), params.load(Runtime, "runtime")
    with unpacked(options.source) as source, tempfile.TemporaryDirectory() as scratch:
        paths = [each.path for each in layout.find(source).found if each.given != "train"]
        places = [str(path) for path in paths]
        backbone = pretrained.load(spec, Path(scratch))
        of_head = params.load(Head, "head")
        head = heads.build(of_head, backbone.output_shape[-1:], len(LABELS))
        whole = classifier.with_probabilities(classifier.join(backbone, head, of_head.pooling))
        folder = Path(scratch, "export")
        folder.mkdir()
        whole.save(folder / "model.keras")
        (folder / "labels.json").write_text(json.dumps(LABELS), encoding="utf-8")
        extract = inference.forward(
            backbones.pooled(backbone, feature_maps=False), "openvino", "float32"
        )
        predictor = load_predictor(str(folder))

        def to_csv() -> None:
            predictions = batch_predict.predictions(predictor, places, data, runtime)
            with open(os.path.join(scratch, "predictions.csv"), "w", encoding="utf-8") as file:
                file.writelines(rows.as_csv(predictions, rows.Notes(LABELS), 1, places))

        contestants = {
            "predict": to_csv,
            "extract's engine": lambda: list(extract(decoded(spec, paths))),
        }
        seconds = alternate(contestants, options.rounds)
        pixels = predictor.loader.stack(paths[:: max(1, len(paths) // 200)])
        by_keras = whole.predict(pixels, verbose=0)
        difference = np.abs(predictor.probabilities(pixels) - by_keras).max()
        found = {
            "images": len(paths),
            "largest_difference_from_keras": float(f"{difference:.1e}"),
            "seconds_for_one_image": seconds_to_start(folder, paths[0]),
        }
    save("predict", rates(seconds, len(paths)), rounds=options.rounds, found=found)
    print(block("predict"))


if __name__ == "__main__":
    run(main)
