"""Loops over frames: ONNX's Scan with a body that a rule writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from onnx import helper

from mctc.targets.onnx.graph import GraphEmitter
from mctc.targets.onnx.tensors import KINDS

Frame = Callable[[Sequence[str], Sequence[str]], tuple[list[str], list[str]]]


def scan_frames(
    e: GraphEmitter, states: Sequence[str], inputs: Sequence[tuple[str, str]], frame: Frame, outputs: int
) -> list[str]:
    """Results over the frames (`outputs` of them), then the last states. All states and results are fp32.

    inputs: names and element types of what is read frame by frame, along the first axis.
    frame: writes the body's nodes: names of states and of one frame of the inputs in, new states and results out.
    """
    held = [e.names.fresh("state") for _ in states]
    read = [e.names.fresh("frame") for _ in inputs]
    with e.body() as nodes:
        new, made = frame(held, read)
    kinds = ["float32"] * len(held) + [kind for _, kind in inputs]
    takes = [helper.make_tensor_value_info(name, KINDS[kind], None) for name, kind in zip([*held, *read], kinds)]
    gives = [helper.make_tensor_value_info(name, KINDS["float32"], None) for name in [*new, *made]]
    body = helper.make_graph(nodes, e.names.fresh("each_frame"), takes, gives)
    operands = [*states, *(name for name, _ in inputs)]
    results = e.several("Scan", operands, len(held) + outputs, body=body, num_scan_inputs=len(inputs))
    return [*results[len(held) :], *results[: len(held)]]
