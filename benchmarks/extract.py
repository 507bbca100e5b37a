"""How fast images become features: `python -m benchmarks.extract FOLDER_OR_ARCHIVE --size 160`.

The first contestant is the stage extract's own path. The others have the same images and weights:
ONNX Runtime and OpenVINO in a loop that decodes one batch with Pillow and then runs it, as in
scripts; a `tf.function` fed by our decoding threads; and Keras' `predict` on its own
`image_dataset_from_directory`. Then the same networks run on pixels that are decoded already. Both
also say which fraction of the rate of NumPy's large matrix products the first reaches. Needs
`make extras`. Writes benchmarks/extract.json and benchmarks/forward.json.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

import thaw.models.tf_setup  # noqa: F401  first, before Keras
from benchmarks.backbones import image_source
from benchmarks.photos import unpacked
from benchmarks.tables import block
from benchmarks.timing import alternate, rates, save
from thaw.features import inference, int8
from thaw.images.loader import ImageLoader, slices
from thaw.labels import layout
from thaw.models import backbones, pretrained
from thaw.models.settings import Backbone
from thaw.project.cli import run

BATCH = 32
MATRIX = 2048  # rows and columns
Call = Callable[[np.ndarray], object]


def onnx(model, folder: Path) -> Call:
    """Return ONNX Runtime on the CPU with all cores, by its own defaults."""
    import onnxruntime

    file = folder / "model.onnx"
    model.export(str(file), format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda pixels: session.run(None, {name: pixels.astype("float32")})


def openvino(model, folder: Path) -> Call:
    """Return OpenVINO on the CPU at float32, by its own defaults."""
    import openvino

    model.export(str(folder / "model.xml"), format="openvino", verbose=False)
    compiled = openvino.compile_model(
        folder / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    return lambda pixels: compiled(pixels.astype("float32"))


def decoded(spec: Backbone, paths: list[Path]) -> Iterator[np.ndarray]:
    """Yield batches of pixels that are decoded ahead on threads, as extract reads them."""
    decoding, runtime = image_source(paths)[2:4]
    loader = ImageLoader(spec.size, decoding, runtime.threads)
    return (pixels for _, pixels in loader.batches(paths, BATCH, spec.name))


def batches(pixels: np.ndarray) -> Iterator[np.ndarray]:
    """Yield batches of pixels that are in memory."""
    return (pixels[part] for part in slices(len(pixels), BATCH))


def loop(call: Call, spec: Backbone, paths: list[Path]) -> None:
    """Decode a batch, run it, decode the next."""
    loader = ImageLoader(spec.size, image_source(paths).decoding)
    for part in slices(len(paths), BATCH):
        call(loader.stack(paths[part]))


def in_memory(call: Call, pixels: np.ndarray) -> None:
    for batch in batches(pixels):
        call(batch)


def predict(model, root: Path, size: int) -> None:
    """Run Keras' predict on Keras' own data set of a folder."""
    import keras

    found = keras.utils.image_dataset_from_directory(
        root, label_mode=None, shuffle=False, image_size=(size, size), verbose=False
    )
    model.predict(found, verbose=0)


def operations(model) -> float:
    """Return the multiplications and additions of all kernels for one image, in billions."""
    import keras

    return sum(
        2 * np.prod(layer.kernel.shape) * np.prod(layer.output.shape[1:-1]) / 1e9
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--name", default="EfficientNetLite0")
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    spec = Backbone(name=options.name, weights="imagenet", image_size=options.size)
    with unpacked(options.source) as source, tempfile.TemporaryDirectory() as scratch:
        found = [each for each in layout.find(source).found if each.given != "train"]
        paths, root = [each.path for each in found], found[0].path.parents[1]
        model = backbones.pooled(pretrained.load(spec, Path(scratch)), feature_maps=False)
        ours = inference.forward(model, "openvino", "float32")
        coarse = inference.forward(model, "openvino", "bfloat16")
        pixels = np.concatenate(list(decoded(spec, paths)))
        converted = inference.read(inference.convert(model))
        rounded = int8.quantized(converted, int8.ranges(converted, pixels[: int8.IMAGES]))
        coarsest = inference.compiled(rounded, "int8")
        traced = inference.forward(model, "tensorflow", "float32")
        by_onnx, by_openvino = onnx(model, Path(scratch)), openvino(model, Path(scratch))
        matrix = np.random.default_rng(0).random((MATRIX, MATRIX), "float32")
        groups = {
            "extract": {
                "extract": lambda: list(ours(decoded(spec, paths))),
                "OpenVINO in a loop": partial(loop, by_openvino, spec, paths),
                "ONNX Runtime in a loop": partial(loop, by_onnx, spec, paths),
                "tf.function, our decoding": lambda: list(traced(decoded(spec, paths))),
                "Keras predict, its own decoding": partial(predict, model, root, spec.size),
            },
            "forward": {
                "extract's engine (OpenVINO)": lambda: list(ours(batches(pixels))),
                "the same at bfloat16": lambda: list(coarse(batches(pixels))),
                "the same at int8": lambda: list(coarsest(batches(pixels))),
                "OpenVINO in a loop": partial(in_memory, by_openvino, pixels),
                "ONNX Runtime in a loop": partial(in_memory, by_onnx, pixels),
                "tf.function": lambda: list(traced(batches(pixels))),
                "Keras predict": lambda: model.predict(pixels, verbose=0),
            },
        }
        for name, contestants in groups.items():
            of_matrices = {"matrices": lambda: matrix @ matrix}
            seconds = alternate(contestants | of_matrices, options.rounds)
            rate = 2 * MATRIX**3 / 1e9 / seconds.pop("matrices")
            fraction = len(paths) * operations(model) / seconds.iloc[:, 0] / rate
            found = {"fraction_of_matrix_rate": round(float(fraction.median()), 2)}
            save(name, rates(seconds, len(paths)), rounds=options.rounds, found=found)
            print(f"{block(name)}\n")


if __name__ == "__main__":
    run(main)
