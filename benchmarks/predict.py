"""How fast pictures are named: `python -m benchmarks.predict FOLDER_OR_ARCHIVE --size 160`.

`tools.predict`'s own path, from JPEG files to a CSV file, beside extract's engine on the same
pictures, both with the same network and ready to run; what starting takes is timed apart, as
`python -m tools.predict` on one picture, whose network was converted before. The classifier has a
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

import stages.lib.quiet  # noqa: F401  first, before Keras
from benchmarks.extract import decoded
from benchmarks.photos import unpacked
from benchmarks.timing import alternate, report
from stages.lib import (
    backbones,
    building,
    classifier,
    engines,
    heads,
    layout,
    params,
    pictures,
)
from stages.lib.errors import run
from stages.lib.runtime import Runtime
from stages.lib.sources import Data
from tools import predict
from tools.lib import answering, predicting

LABELS = ["cats", "dogs"]


def seconds_to_start(export: Path, picture: Path) -> float:
    """Return what naming one picture takes as a command, with a network that is converted."""
    command = [sys.executable, "-m", "tools.predict", "--model", str(export), str(picture)]
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
    spec = backbones.Backbone(name=options.name, weights="imagenet", image_size=options.size)
    data, runtime = params.load(Data, "data"), params.load(Runtime, "runtime")
    with unpacked(options.source) as source, tempfile.TemporaryDirectory() as scratch:
        paths = [each.path for each in layout.find(source)[0] if each.given != "train"]
        places = [str(path) for path in paths]
        backbone = building.pretrained(spec, Path(scratch))
        of_head = params.load(heads.Head, "head")
        head = heads.build(of_head, backbone.output_shape[-1:], len(LABELS))
        whole = classifier.with_probabilities(classifier.join(backbone, head, of_head))
        folder = Path(scratch, "export")
        folder.mkdir()
        whole.save(folder / "model.keras")
        (folder / "labels.json").write_text(json.dumps(LABELS))
        extract = engines.forward(building.pooled(backbone, maps=False), "openvino", "float32")
        predictor = predicting.load(str(folder))

        def named() -> None:
            answers = answering.answers(predictor, places, data, runtime)
            with open(os.path.join(scratch, "named.csv"), "w") as file:
                file.writelines(predict.as_csv(answers, LABELS, 1, places))

        contestants = {
            "predict": named,
            "extract's engine": lambda: list(extract(decoded(spec, paths))),
        }
        seconds = alternate(contestants, options.rounds)
        some = paths[:: max(1, len(paths) // 200)]
        pixels = np.stack([pictures.load(path, spec.size, predictor.decoding) for path in some])
        by_keras = whole.predict(pixels, verbose=0)
        difference = np.abs(predictor.probabilities(pixels) - by_keras).max()
        found = {
            "pictures": len(paths),
            "largest_difference_from_keras": float(f"{difference:.1e}"),
            "seconds_for_one_picture": seconds_to_start(folder, paths[0]),
        }
        print(report(seconds, len(paths), "pictures", found, Path("benchmarks/predict.json")))
    print(f"\n{json.dumps(found)}")


if __name__ == "__main__":
    run(main)
