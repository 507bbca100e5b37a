"""How fast pictures become features: `python -m benchmarks.extract FOLDER_OR_ARCHIVE --size 160`.

Beside extract's own path, on the same pictures and weights: ONNX Runtime and OpenVINO fed by a loop
that decodes one batch with Pillow and then runs it, as scripts do it; a `tf.function` fed by our
decoding threads; and Keras' `predict` on its own `image_dataset_from_directory`. Then the same
networks on pixels that are decoded already. Needs benchmarks/requirements.txt. Writes
benchmarks/extract.json and benchmarks/forward.json.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

import stages.lib.quiet  # noqa: F401  first, before Keras
from benchmarks.backbones import settings
from benchmarks.photos import unpacked
from benchmarks.timing import alternate, report
from stages.lib import backbones, engines, extraction, layout, pictures
from stages.lib.errors import run

BATCH = 32
Forward = Callable[[np.ndarray], object]


def onnx(model, folder: Path) -> Forward:
    """Return ONNX Runtime on the CPU with all cores, by its own defaults."""
    import onnxruntime

    file = folder / "model.onnx"
    model.export(str(file), format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda pixels: session.run(None, {name: pixels.astype("float32")})


def decoded(spec: backbones.Backbone, paths: list[Path]) -> Iterator[np.ndarray]:
    """Yield batches of pixels that are decoded ahead on threads, as extract reads them."""
    decoding, runtime = settings(spec).pictures, settings(spec).runtime
    batches = pictures.batches(paths, spec.size, decoding, BATCH, runtime.threads, spec.name)
    return (pixels for _, pixels in batches)


def ahead(forward: Forward, spec: backbones.Backbone, paths: list[Path]) -> None:
    """Decode on threads while the network runs, as extract does."""
    for pixels in decoded(spec, paths):
        forward(pixels)


def loop(forward: Forward, spec: backbones.Backbone, paths: list[Path]) -> None:
    """Decode a batch, run it, decode the next."""
    decoding = settings(spec).pictures
    for part in pictures.slices(len(paths), BATCH):
        forward(np.stack([pictures.load(path, spec.size, decoding) for path in paths[part]]))


def predict(model, root: Path, size: int) -> None:
    """Run Keras' predict on Keras' own data set of a folder."""
    import keras

    found = keras.utils.image_dataset_from_directory(
        root, label_mode=None, shuffle=False, image_size=(size, size), verbose=False
    )
    model.predict(found, verbose=0)


def in_memory(forward: Forward, pixels: np.ndarray) -> None:
    for part in pictures.slices(len(pixels), BATCH):
        forward(pixels[part])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--name", default="EfficientNetLite0")
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    spec = backbones.Backbone(name=options.name, weights="imagenet", image_size=options.size)
    with unpacked(options.source) as source, tempfile.TemporaryDirectory() as scratch:
        found = [each for each in layout.find(source)[0] if each.given != "train"]
        paths, root = [each.path for each in found], found[0].path.parents[1]
        model = extraction.pooled(backbones.pretrained(spec, Path(scratch)), maps=False)
        ours = engines.forward(model, "openvino", "float32")
        traced = engines.forward(model, "tensorflow", "float32")
        runtime = onnx(model, Path(scratch))
        contestants = {
            "extract": partial(ahead, ours, spec, paths),
            "OpenVINO in a loop": partial(loop, ours, spec, paths),
            "ONNX Runtime in a loop": partial(loop, runtime, spec, paths),
            "tf.function, our decoding": partial(ahead, traced, spec, paths),
            "Keras predict, its own decoding": partial(predict, model, root, spec.size),
        }
        pixels = np.concatenate(list(decoded(spec, paths)))
        forwards = {
            "extract's engine (OpenVINO)": partial(in_memory, ours, pixels),
            "the same at bfloat16": partial(
                in_memory, engines.forward(model, "openvino", "bfloat16"), pixels
            ),
            "ONNX Runtime": partial(in_memory, runtime, pixels),
            "tf.function": partial(in_memory, traced, pixels),
            "Keras predict": lambda: model.predict(pixels, verbose=0),
        }
        for name, group in (("extract", contestants), ("forward", forwards)):
            seconds = alternate(group, options.rounds)
            print(report(seconds, len(paths), "pictures", {}, Path(f"benchmarks/{name}.json")))
            print()


if __name__ == "__main__":
    run(main)
