"""Operations of TensorFlow that tf2onnx 1.17 does not know, written as such that ONNX has."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tf2onnx.graph import Graph, Node


def _erfc(graph: "Graph", node: "Node", name: str, _arguments: list) -> None:
    """Write erfc(x), which GELU computes, as 1 - erf(x)."""
    inputs, outputs = node.input[:], node.output[:]
    shape, dtype = graph.get_shape(outputs[0]), graph.get_dtype(outputs[0])
    graph.remove_node(name)
    erf = graph.make_node("Erf", inputs)
    one = graph.make_const(f"{name}_one", np.array(1, "float32"))
    ends = {"outputs": outputs, "shapes": [shape], "dtypes": [dtype]}
    graph.make_node("Sub", [one.output[0], erf.output[0]], name=name, **ends)


OPERATIONS = {"Erfc": (_erfc, [])}  # as custom_op_handlers of tf2onnx takes them
