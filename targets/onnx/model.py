"""One function as an ONNX model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onnx import ModelProto

from mctc.driver.names import identifier
from mctc.emit.skeleton import Emitted
from mctc.ir.program import Function, Program
from mctc.targets.onnx.errors import OnnxError
from mctc.targets.onnx.graph import GraphEmitter
from mctc.targets.onnx.rules import RULES
from mctc.targets.onnx.tensors import TensorFile
from mctc.version import __version__
from mctc.weights import Weights

# The newest pair that onnxruntime 1.23, the oldest that the extra allows, loads: it refuses opset 24 and IR version 12.
# Nothing that mctc writes needs more: int4 is of opset 21, RMSNormalization of 23.
OPSET = 23
IR_VERSION = 11
MODEL_LIMIT = (1 << 31) - 1  # bytes; protobuf's own


def emit_model(
    program: Program,
    function: Function,
    weights: Weights,
    file: TensorFile | None = None,
    metadata: Mapping[str, str] | None = None,
) -> tuple[bytes, Emitted]:
    """The model of a function; large tensors go to `file` where there is one. Raises OnnxError."""
    emitter = GraphEmitter(program, function, weights, file)
    emitter.run(RULES)
    model = ModelProto(ir_version=IR_VERSION, producer_name="mctc", producer_version=__version__)
    model.opset_import.add(domain="", version=OPSET)
    for key, value in sorted((metadata or {}).items()):
        model.metadata_props.add(key=key, value=value)
    graph = model.graph
    graph.name = identifier(function.name)
    for field, messages in (
        (graph.input, emitter.inputs),
        (graph.output, emitter.outputs),
        (graph.initializer, emitter.initialisers),
        (graph.node, emitter.nodes),
        (graph.value_info, emitter.types),
    ):
        field.extend(messages)
        messages.clear()  # a tensor that is in the model has no second place
    return _serialised(model), Emitted({function.name: len(graph.node)}, {function.name: emitter.made})


def _serialised(model: Any) -> bytes:
    data: bytes = model.SerializeToString(deterministic=True)
    if len(data) > MODEL_LIMIT:
        raise OnnxError(f"the graph takes {len(data)} bytes, more than an ONNX model can hold")
    return data
