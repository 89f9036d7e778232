"""How long the evaluator of Core ML programs takes, beside onnxruntime with the same program, weights and input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from bench.row import Row
from bench.setting import Setting
from mctc.evaluate.coreml import Evaluator
from mctc.ir.op import Array
from mctc.linter.coreml.notation import Held
from mctc.package import Block, Constant, Function, Metadata, NamedType, Operation, Package, Reference, TensorType

RATIO, SECONDS, ERROR = 3.0, 20.0, 1e-4


@dataclass(frozen=True)
class Step:
    """One op of a chain: its name in MIL and in ONNX, its weight, its strides or axis, in either's attributes."""

    mil: str
    onnx: str
    weight: tuple[int, ...] = ()
    mil_attributes: dict[str, Any] = field(default_factory=dict)
    onnx_attributes: dict[str, Any] = field(default_factory=dict)


def conv(*weight: int, strides: Sequence[int], transposed: bool = False) -> Step:
    """A convolution without padding."""
    name, other = ("conv_transpose", "ConvTranspose") if transposed else ("conv", "Conv")
    given = {"strides": list(strides)}
    return Step(name, other, weight, {**given, "pad_type": "valid"}, given)


def matmul(*other: int) -> Step:
    """The product with a constant."""
    return Step("matmul", "MatMul", other)


GELU = Step("gelu", "Gelu", (), {"mode": "EXACT"})
SOFTMAX = Step("softmax", "Softmax", (), {"axis": -1}, {"axis": -1})

PITCH = {
    "low-pass filter, 256 taps": ((1, 1, 44_100), [conv(1, 1, 256, strides=[2])]),
    "constant-Q transform, 36 filters of 1024 taps": ((1, 1, 44_100), [conv(36, 1, 1024, strides=[256])]),
    "8 channels by 3 x 39": ((1, 8, 174, 302), [conv(8, 8, 3, 39, strides=[1, 1])]),
    "32 channels by 5 x 5": ((1, 1, 176, 268), [conv(32, 1, 5, 5, strides=[1, 3]), conv(1, 32, 7, 3, strides=[1, 1])]),
    "inverse transform, 4096 taps": ((1, 2050, 340), [conv(2050, 1, 4096, strides=[1024], transposed=True)]),
}  # fmt: skip
"""What a pitch tracker and an inverse short-time Fourier transform are made of: an input shape and a chain."""

SEPARATOR: dict[str, tuple[tuple[int, ...], list[Step]]] = {
    "waveform branch": (
        (1, 2, 343_980),
        [
            conv(48, 2, 8, strides=[4]), GELU, conv(96, 48, 8, strides=[4]), GELU, conv(192, 96, 8, strides=[4]), GELU,
            conv(384, 192, 8, strides=[4]), GELU, conv(384, 192, 8, strides=[4], transposed=True), GELU,
            conv(192, 96, 8, strides=[4], transposed=True), GELU, conv(96, 48, 8, strides=[4], transposed=True), GELU,
            conv(48, 8, 8, strides=[4], transposed=True),
        ],
    ),
    "spectrum branch": (
        (1, 4, 2048, 336),
        [
            conv(48, 4, 8, 1, strides=[4, 1]), GELU, conv(48, 48, 3, 3, strides=[1, 1]), GELU,
            conv(96, 48, 8, 1, strides=[4, 1]), GELU, conv(96, 96, 3, 3, strides=[1, 1]), GELU,
            conv(96, 48, 8, 1, strides=[4, 1], transposed=True), GELU,
            conv(48, 16, 8, 1, strides=[4, 1], transposed=True),
        ],
    ),
    "attention of 2688 places": ((1, 8, 2688, 48), [matmul(1, 8, 48, 2688), SOFTMAX, matmul(1, 8, 2688, 48)]),
}  # fmt: skip
"""A source separator at its full size: its two branches, and one of its attention layers."""
LAYERS = {"attention of 2688 places": 10}
"""How often a part is in the whole."""


def rows(setting: Setting) -> list[Row]:
    """Needs onnx and onnxruntime."""
    pitch = {name: compared(shape, chain, setting.pairs) for name, (shape, chain) in PITCH.items()}
    separator = {name: compared(shape, chain, setting.pairs) for name, (shape, chain) in SEPARATOR.items()}
    ratio = sum(ours for ours, _, _ in pitch.values()) / sum(theirs for _, theirs, _ in pitch.values())
    whole = sum(ours * LAYERS.get(name, 1) for name, (ours, _, _) in separator.items())
    error = max(each[2] for each in (*pitch.values(), *separator.values()))
    return [
        Row(
            "evaluator of Core ML programs, wide convolutions in fp32: time against onnxruntime",
            f"≤ {RATIO:g}x",
            f"{ratio:.1f}x",
            ratio <= RATIO and error <= ERROR,
            f"{told(pitch)}; largest difference {error:.1e} of the largest value",
        ),
        Row(
            "the same, a source separator of 8 s of stereo at 44.1 kHz: both branches and ten attention layers",
            f"≤ {SECONDS:g} s",
            f"{whole:.1f} s",
            whole <= SECONDS,
            told(separator),
        ),
    ]


def told(found: dict[str, tuple[float, float, float]]) -> str:
    return "; ".join(f"{name} {ours:.3g} s, onnxruntime {theirs:.3g} s" for name, (ours, theirs, _) in found.items())


def compared(shape: tuple[int, ...], chain: list[Step], pairs: int) -> tuple[float, float, float]:
    """Seconds of the evaluator and of onnxruntime, the best of alternating runs; how far apart their results are."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal(shape).astype(np.float32)
    weights = [
        (generator.standard_normal(step.weight) / np.sqrt(np.prod(step.weight[1:]))).astype(np.float32)
        for step in chain
        if step.weight
    ]
    ours, theirs = in_mil(shape, chain, weights), in_onnx(shape, chain, weights)
    times: tuple[list[float], list[float]] = ([], [])
    results: list[Array] = []
    for _ in range(pairs):
        results = []
        for run, found in zip((ours, theirs), times, strict=True):
            start = perf_counter()
            results.append(run(x))
            found.append(perf_counter() - start)
    apart = float(np.abs(results[0] - results[1]).max() / np.abs(results[1]).max())
    return min(times[0]), min(times[1]), apart


def in_mil(shape: tuple[int, ...], chain: list[Step], weights: list[Array]) -> Callable[[Array], Array]:
    """The chain as a function of a Core ML program, in memory."""
    operations, left = [], list(weights)
    for index, step in enumerate(chain):
        operands: dict[str, tuple[Any, ...]] = {"x": (Reference(f"v{index}"),)}
        if step.weight:
            operands["y" if step.mil == "matmul" else "weight"] = (constant(left.pop(0)),)
        operands |= {name: (constant(value),) for name, value in step.mil_attributes.items()}
        result = NamedType(f"v{index + 1}", TensorType("fp32", None))
        operations.append(Operation(index, step.mil, f"op{index}", operands, (result,), {}))
    last = operations[-1].outputs
    block = Block((), (last[0].name,), tuple(operations))
    function = Function("main", "CoreML8", (NamedType("v0", TensorType("fp32", shape)),), (), last, block)
    run = Evaluator(Package(Path("chain.mlpackage"), 9, Metadata(), {"main": function}, "main"), "fp32").function()
    return lambda x: run({"v0": x})[last[0].name]


def constant(value: Any) -> Constant:
    if isinstance(value, str):
        return Constant(TensorType("string", ()), Held(value))
    array = np.asarray(value)
    dtype = "fp32" if array.dtype.kind == "f" else "int32"
    return Constant(TensorType(dtype, array.shape), Held(array.astype(np.float32 if dtype == "fp32" else np.int32)))


def in_onnx(shape: tuple[int, ...], chain: list[Step], weights: list[Array]) -> Callable[[Array], Array]:
    """The chain in onnxruntime."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    nodes, stored, left = [], [], list(weights)
    for index, step in enumerate(chain):
        inputs = [f"v{index}"]
        if step.weight:
            inputs.append(f"w{index}")
            stored.append(numpy_helper.from_array(left.pop(0), f"w{index}"))
        nodes.append(helper.make_node(step.onnx, inputs, [f"v{index + 1}"], **step.onnx_attributes))
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, extents)
        for name, extents in (("v0", shape), (f"v{len(chain)}", None))
    ]
    graph = helper.make_graph(nodes, "chain", values[:1], values[1:], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"v0": x})[0]
