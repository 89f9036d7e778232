"""TensorFlow's choice of boxes, computed by onnxruntime: all that the tests of non_maximum_suppression need of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from mctc.evaluate.coreml.precision import Array


class Selected:
    """Indices, as tf.Tensor hands them out."""

    def __init__(self, indices: Array) -> None:
        self.indices = indices

    def numpy(self) -> Array:
        return self.indices


def stand_in() -> Any:
    """What a test module calls `tf`, with image.non_max_suppression alone. Raises ImportError without onnxruntime."""
    import onnx
    import onnxruntime

    operands = {"boxes": "FLOAT", "scores": "FLOAT", "count": "INT64", "overlap": "FLOAT", "least": "FLOAT"}
    inputs = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.DataType.Value(kind), None)
              for name, kind in operands.items()]  # fmt: skip
    output = onnx.helper.make_tensor_value_info("chosen", onnx.TensorProto.INT64, None)
    node = onnx.helper.make_node("NonMaxSuppression", list(operands), ["chosen"])
    graph = onnx.helper.make_graph([node], "non_max_suppression", inputs, [output])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 11)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    def non_max_suppression(
        boxes: Array, scores: Array, max_output_size: int, iou_threshold: float, score_threshold: float
    ) -> Selected:
        numbers = np.asarray([max_output_size]), np.asarray([iou_threshold]), np.asarray([score_threshold])
        kinds = {"FLOAT": np.float32, "INT64": np.int64}
        arrays = zip(operands.items(), (boxes[None], scores[None, None], *numbers), strict=True)
        (chosen,) = session.run(None, {name: np.asarray(array, kinds[kind]) for (name, kind), array in arrays})
        return Selected(np.asarray(chosen)[:, 2])

    return SimpleNamespace(image=SimpleNamespace(non_max_suppression=non_max_suppression))
