"""The formats of an exported classifier: how each is written, and run by its own runtime.

All take `pixels` float32 (n, size, size, 3), RGB 0..255, any n, and give `probabilities` float32
(n, classes); where a format has names for input and output, they are these. A model that tells
unknown images gives `known` besides, float32 (n,), but in 8 bits. Runtimes are imported where they
are used, since some are optional and all take long to load.
"""

import logging
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thaw.export import keras_file, onnx_operations

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

OUTPUT, KNOWN = "probabilities", "known"
Predict = Callable[[np.ndarray], np.ndarray]  # from pixels to one of the outputs
Calibration = Callable[[], np.ndarray]  # gives training images uint8 (k, size, size, 3)


class Format(NamedTuple):
    """How one format is written and run.

    file: its name, of a file or a folder. write: writes the model to that path; int8 takes the
    range of each layer from the calibration. open: returns what gives one of the outputs of the
    format at that path, the probabilities unless told otherwise. usage: code for the model card,
    from `pixels` to `probabilities`. modules: what has to be installed, and is not in
    requirements.txt.
    """

    file: str
    write: Callable[["keras.Model", Path, Calibration], None]
    open: Callable[..., Predict]
    usage: str
    modules: tuple[str, ...] = ()


def _write_keras(model: "keras.Model", file: Path, _calibration: Calibration) -> None:
    model.save(file)
    keras_file.leave_out_defaults(file)


def _open_keras(file: Path, output: str = OUTPUT) -> Predict:
    import keras

    return predictor(keras.saving.load_model(file), output)


def predictor(model: "keras.Model", output: str = OUTPUT) -> Predict:
    """Return what gives one of the outputs of a Keras model; a single one has no name."""
    if len(outputs(model)) > 1:
        return lambda pixels: model.predict_on_batch(pixels)[output]
    return model.predict_on_batch


def outputs(model: "keras.Model") -> list[str]:
    """Return the names of a model's outputs, in the order in which TensorFlow flattens them."""
    found = getattr(model, "output", None)  # a Sequential has none before its first call
    return sorted(found) if isinstance(found, dict) else [OUTPUT]


def traced(model: "keras.Model", output: str = OUTPUT) -> Predict:
    """Return what `predictor` does of a model that is written, by the graph that is written."""
    return lambda pixels: _graph(model).serve(pixels)[output].numpy()


@lru_cache(maxsize=1)  # all formats are written of one model, and each trace takes a second
def _graph(model: "keras.Model") -> "tf.Module":
    """Return the model as TensorFlow's converters take it: `serve`, and its weights.

    `model.export` of Keras 3.15.1 writes every weight twice into its SavedModel, and takes five
    times as long for LiteRT, as it goes through one. So the formats below use neither.
    """
    import tensorflow as tf

    pixels = tf.TensorSpec((None, *model.input_shape[1:]), "float32", name="pixels")
    graph = tf.Module(name="classifier")
    graph.weights = [variable.value for variable in model.variables]

    def serve(pixels):
        found = model(pixels, training=False)
        return found if isinstance(found, dict) else {OUTPUT: found}

    graph.serve = tf.function(serve, input_signature=[pixels])
    return graph


def _write_saved_model(model: "keras.Model", file: Path, _calibration: Calibration) -> None:
    import tensorflow as tf

    graph = _graph(model)
    tf.saved_model.save(graph, str(file), signatures=graph.serve)


def _open_saved_model(file: Path, output: str = OUTPUT) -> Predict:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(file))
    return lambda pixels: loaded.serve(pixels)[output].numpy()


def _write_onnx(model: "keras.Model", file: Path, _calibration: Calibration) -> None:
    import tensorflow as tf
    import tf2onnx
    from tensorflow.python.framework import convert_to_constants

    # tf2onnx 1.17 takes constants that a layer made outside the graph (Normalization's) for inputs.
    serve = _graph(model).serve
    frozen = convert_to_constants.convert_variables_to_constants_v2(serve.get_concrete_function())
    names = outputs(model)
    alone = tf.function(lambda pixels: dict(zip(names, frozen(pixels))), serve.input_signature)
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # a failure shows when the file is run
    more = dict(onnx_operations.OPERATIONS)  # to which tf2onnx adds its own
    tf2onnx.convert.from_function(
        alone, serve.input_signature, custom_op_handlers=more, output_path=str(file)
    )


def _open_onnx(file: Path, output: str = OUTPUT) -> Predict:
    import onnxruntime

    session = onnxruntime.InferenceSession(file)
    return lambda pixels: session.run([output], {"pixels": pixels})[0]


def _litert(model: "keras.Model") -> "tf.lite.TFLiteConverter":
    import tensorflow as tf

    graph = _graph(model)
    serve = graph.serve.get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([serve], graph)


def _write_litert(model: "keras.Model", file: Path, _calibration: Calibration) -> None:
    file.write_bytes(_litert(model).convert())


def _write_litert_int8(model: "keras.Model", file: Path, calibration: Calibration) -> None:
    """Full-integer quantisation after training, per channel (Jacob et al. 2018, LiteRT's guide).

    All operations compute in 8 bits; input and output stay float32. Distances would be too coarse,
    so it tells no unknown images.
    """
    import keras
    import tensorflow as tf

    if len(outputs(model)) > 1:
        model = keras.Model(model.input, model.output[OUTPUT])
    converter = _litert(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    images = calibration()
    converter.representative_dataset = lambda: ([one[None].astype("float32")] for one in images)
    file.write_bytes(converter.convert())


def _open_litert(file: Path, output: str = OUTPUT) -> Predict:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(file))
    classify = interpreter.get_signature_runner()
    return lambda pixels: classify(pixels=pixels)[output]


def _write_openvino(model: "keras.Model", file: Path, _calibration: Calibration) -> None:
    sys.modules.setdefault("openvino_telemetry", None)  # reports to nobody, as in inference.py
    import openvino

    converted = openvino.convert_model(_graph(model).serve.get_concrete_function())
    converted.inputs[0].set_names({"pixels"})
    for output, name in zip(converted.outputs, outputs(model)):
        output.set_names({name})
    file.mkdir()
    openvino.save_model(converted, file / "model.xml", compress_to_fp16=False)


def _open_openvino(file: Path, output: str = OUTPUT) -> Predict:
    import openvino

    # By default it takes bfloat16 where the processor has it, which is far coarser.
    exactly = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.compile_model(str(file / "model.xml"), "CPU", exactly)
    return lambda pixels: compiled(pixels)[output]


KERAS = """\
import keras

model = keras.saving.load_model("model.keras")
probabilities = model.predict_on_batch(pixels)
"""
SAVED_MODEL = """\
import tensorflow as tf

model = tf.saved_model.load("saved_model")
probabilities = model.serve(pixels)["probabilities"].numpy()
"""
ONNX = """\
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
[probabilities] = session.run(["probabilities"], {"pixels": pixels})
"""
LITERT = """\
from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter("model.tflite")
classify = interpreter.get_signature_runner()
probabilities = classify(pixels=pixels)["probabilities"]
"""
OPENVINO = """\
import openvino

exactly = {"INFERENCE_PRECISION_HINT": "f32"}  # on some processors the default is bfloat16
model = openvino.compile_model("openvino/model.xml", "CPU", exactly)
probabilities = model(pixels)["probabilities"]
"""

ONNX_MODULES = ("onnx", "tf2onnx", "onnxruntime")
LITERT_MODULES = ("ai_edge_litert",)
EXPORT_FORMATS = {
    "keras": Format("model.keras", _write_keras, _open_keras, KERAS),
    "saved_model": Format("saved_model", _write_saved_model, _open_saved_model, SAVED_MODEL),
    "onnx": Format("model.onnx", _write_onnx, _open_onnx, ONNX, ONNX_MODULES),
    "litert": Format("model.tflite", _write_litert, _open_litert, LITERT, LITERT_MODULES),
    "litert_int8": Format(
        "model_int8.tflite",
        _write_litert_int8,
        _open_litert,
        LITERT.replace("model.tflite", "model_int8.tflite"),
        LITERT_MODULES,
    ),
    "openvino": Format("openvino", _write_openvino, _open_openvino, OPENVINO),
}
QUANTIZED = ("litert_int8",)  # their probabilities differ from Keras' by more than rounding
