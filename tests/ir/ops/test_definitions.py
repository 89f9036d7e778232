"""Ops against definitions written out here: elementwise, data movement, reductions, the selective scan."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.ir.build import Builder
from mctc.ir.declared import registry
from mctc.ir.dims import Extent
from mctc.ir.op import InferenceError
from mctc.ir.program import Program
from mctc.ir.types import Axis, DType, Role, TensorType, plain

RNG = np.random.default_rng(11)
BTC, BTFC = "batch time channel", "batch time feature channel"
UNARY: dict[str, Callable[[float], float]] = {
    "neg": lambda x: -x,
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "rsqrt": lambda x: x**-0.5,
    "reciprocal": lambda x: 1 / x,
    "abs": abs,
    "square": lambda x: x**2,
    "tanh": math.tanh,
    "sin": math.sin,
    "cos": math.cos,
    "relu": lambda x: max(x, 0.0),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "erf": math.erf,
    "softplus": lambda x: math.log(1 + math.exp(x)),
}
POSITIVE = ("log", "sqrt", "rsqrt", "reciprocal")
BINARY: dict[str, Callable[[float, float], float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "maximum": max,
    "minimum": min,
    "greater": lambda a, b: float(a > b),
    "equal": lambda a, b: float(a == b),
}
ELSEWHERE = {
    "linear",
    "conv1d",
    "conv2d",
    "embedding",
    "layer_norm",
    "rms_norm",
    "batch_norm",
    "softmax",
    "log_softmax",
    "scan_state",  # with scan
}
ELSEWHERE |= {"lstm", "gru", "attention"}  # test_against_torch.py
HERE = {"scale", "clip", "cast", "constant", "parameter", "matmul", "split", "concat", "slice", "pad", "reshape"}
HERE |= {"transpose", "split_channels", "merge_channels", "reverse", "selective_scan", "ssd"}
HERE |= {"positional_embedding", "dropout", "layer_drop"}
HERE |= {f"reduce_{name}" for name in ("sum", "mean", "max", "min")} | set(UNARY) | set(BINARY)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def test_every_op_of_the_ir_has_an_independent_definition() -> None:
    own = {name for name, op in registry().items() if op.__module__.startswith("mctc.ir.ops")}
    files = {name for name in own if Path(__file__).with_name(f"test_{name}.py").exists()}
    assert own == HERE | ELSEWHERE | files


@pytest.mark.parametrize("name", UNARY)
def test_unary_ops(bench: Any, name: str) -> None:
    x = normal(2, 5, 3)
    x = np.abs(x) + 0.1 if name in POSITIVE else x
    bench.agree(name, [(x, BTC)], [np.vectorize(UNARY[name])(x)])


@pytest.mark.parametrize("name", BINARY)
def test_binary_ops(bench: Any, name: str) -> None:
    left, right = normal(2, 5, 3), normal(2, 5, 3)
    bench.agree(name, [(left, BTC), (right, BTC)], [np.vectorize(BINARY[name])(left, right)])


def test_numbers_in_arithmetic(bench: Any) -> None:
    x = normal(2, 5, 3)
    bench.agree("scale", [(x, BTC)], [x * 2.5 - 1], factor=2.5, offset=-1)
    bench.agree("clip", [(x, BTC)], [np.minimum(np.maximum(x, -0.5), 1.0)], low=-0.5, high=1.0)
    bench.agree("cast", [(x * 9, BTC)], [np.trunc(x * 9)], dtype="i32")
    assert bench.result_types("cast", [(x, BTC)], dtype="bool") == ["bool[batch 2, time 5, channel 3]"]


def test_what_acts_in_training_alone_is_an_operand_elsewhere(bench: Any) -> None:
    x, y = normal(2, 5, 3), normal(2, 5, 3)
    for kind in ("element", "channel", "time", "utterance"):
        bench.agree("dropout", [(x, BTC)], [x], rate=0.5, kind=kind)
    bench.agree("layer_drop", [(x, BTC), (y, BTC)], [x], rate=0.5)


def test_matmul_sums_over_the_last_axis(bench: Any) -> None:
    left, right = normal(2, 3, 4), normal(4, 2)
    want = np.array([[[sum(row[i] * right[i, j] for i in range(4)) for j in range(2)] for row in m] for m in left])
    bench.agree("matmul", [(left, BTC), (right, "plain plain")], [want], both=False)
    assert bench.result_types("matmul", [(left, BTC), (right, "channel time")]) == ["f32[batch 2, time 3, time 2]"]


def test_positional_embedding_counts_frames_and_reads_nothing_else(bench: Any) -> None:
    x, table = normal(2, 5, 3), normal(7, 4)
    want = np.array([[table[t, i] for i in range(4)] for t in range(5)])
    bench.agree("positional_embedding", [(x, BTC), (table, "plain plain")], [want], both=False)
    laid = np.einsum("btc->bct", x)[:, :, None]
    operands = [(laid, "batch channel unit time"), (table, "plain plain")]
    bench.agree("positional_embedding", operands, [want.T[None, :, None]], both=False)


def test_a_cyclic_table_starts_again_behind_its_last_row(bench: Any) -> None:
    x, table = normal(2, 5, 3), normal(2, 4)
    want = table[[0, 1, 0, 1, 0]]
    bench.agree("positional_embedding", [(x, BTC), (table, "plain plain")], [want], both=False, cyclic=True)


def test_split_and_concat(bench: Any) -> None:
    x = normal(2, 5, 6)
    bench.agree("split", [(x, BTC)], [x[..., :2], x[..., 2:4], x[..., 4:]], parts=3)
    bench.agree("split", [(x, BTC)], [x[..., :1], x[..., 1:]], sizes=[1, 5])
    bench.agree("split", [(x, BTC)], [x[:, :2], x[:, 2:]], sizes=[2, 3], axis="time")
    bench.agree("concat", [(x[..., :4], BTC), (x[..., 4:], BTC)], [x])
    bench.agree("concat", [(x[:, :1], BTC), (x[:, 1:2], BTC), (x[:, 2:], BTC)], [x], axis="time")


def test_slice_pad_and_reverse(bench: Any) -> None:
    x = normal(2, 7, 6)
    bench.agree("slice", [(x, BTC)], [x[:, [1, 3, 5]]], axis="time", begin=1, end=6, stride=2)
    bench.agree("slice", [(x, BTC)], [x[:, [0, 3, 6]]], axis="time", stride=3)
    bench.agree("slice", [(x, BTC)], [x[..., 4:]], axis="channel", begin=4)
    want = np.full((2, 10, 6), 7.0)
    want[:, 1:8] = x
    bench.agree("pad", [(x, BTC)], [want], axis="time", before=1, after=2, value=7.0)
    bench.agree("reverse", [(x, BTC)], [x[:, ::-1]])
    bench.agree("reverse", [(x, BTC)], [x[..., ::-1]], axis="channel")


def test_reshape_and_transpose(bench: Any) -> None:
    x = normal(2, 5, 6)
    axes = [("batch", 2), ("time", 5), ("feature", 2), ("channel", 3)]
    bench.agree("reshape", [(x, BTC)], [x.reshape(2, 5, 2, 3)], axes=axes, both=False)
    bench.agree("transpose", [(x, BTC)], [np.einsum("btc->cbt", x)], order=[2, 0, 1], both=False)
    got = bench.result_types("transpose", [(x, BTC)], order=[2, 0, 1])
    assert got == ["f32[channel 6, batch 2, time 5]"]


def test_reshape_of_a_sequence_of_any_length() -> None:
    from mctc.evaluate.reference import evaluate
    from mctc.ir.text import parse_program

    function = parse_program("""function @f(%x: f32[batch B, time T/2, channel 6]) {
        %0 = reshape(%x, axes = [batch B, time T/4, channel 12])
        return y = %0
    }""").functions["f"]
    x = normal(3, 4, 6)
    results, _ = evaluate(function, {"x": x}, lambda name: x)
    np.testing.assert_array_equal(results["y"], x.reshape(3, 2, 12))


def test_channel_groups(bench: Any) -> None:
    x = normal(2, 5, 6)
    want = np.empty((2, 5, 2, 3))  # batch, time, feature, channel
    for channel in range(3):
        for feature in range(2):
            want[:, :, feature, channel] = x[:, :, channel * 2 + feature]
    bench.agree("split_channels", [(x, BTC)], [want], groups=3)
    bench.agree("merge_channels", [(want, BTFC)], [x])


@pytest.mark.parametrize(("name", "function"), [("sum", sum), ("max", max), ("min", min), ("mean", None)])
@pytest.mark.parametrize("axis", ["time", "channel"])
def test_reductions(bench: Any, name: str, function: Callable[..., float] | None, axis: str) -> None:
    x = normal(2, 5, 6)
    at = BTC.split().index(axis)
    want = np.apply_along_axis(function or (lambda row: sum(row) / len(row)), at, x)
    bench.agree(f"reduce_{name}", [(x, BTC)], [np.expand_dims(want, at)], axis=axis)


def selective_scan(x: Any, delta: Any, a: Any, b: Any, c: Any, d: Any, h: Any, mask: Any) -> tuple[Any, Any]:
    """One scalar at a time: h <- exp(delta a) h + delta b x; y = sum c h + d x."""
    y, h = np.zeros_like(x), h.copy()
    for n, t, i in np.ndindex(x.shape):
        step = delta[n, t, i] * mask[t]
        for k in range(a.shape[1]):
            h[n, i, k] = math.exp(step * a[i, k]) * h[n, i, k] + step * b[n, t, k] * x[n, t, i]
        y[n, t, i] = sum(c[n, t, k] * h[n, i, k] for k in range(a.shape[1])) + d[i] * x[n, t, i]
    return y, h


@pytest.mark.parametrize("roles", [BTC, "batch label channel"])
@pytest.mark.parametrize("optional", [True, False])
def test_selective_scan(bench: Any, roles: str, optional: bool) -> None:
    x, delta, a = normal(2, 6, 3), np.exp(normal(2, 6, 3)), -np.exp(normal(3, 4))
    b, c, d, h = normal(2, 6, 4), normal(2, 6, 4), normal(3), normal(2, 3, 4)
    mask = np.array([1.0, 1, 0, 1, 1, 0])
    if not optional:
        d, h, mask = np.zeros(3), np.zeros((2, 3, 4)), np.ones(6)
    operands: list[Any] = [(x, roles), (delta, roles), (a, "plain plain"), (b, roles), (c, roles)]
    if optional:
        operands += [(d, "plain"), (h, "batch channel feature"), (mask, roles.split()[1])]
    bench.agree("selective_scan", operands, selective_scan(x, delta, a, b, c, d, h, mask))


def state_space_dual(
    x: Any, delta: Any, a: Any, b: Any, c: Any, d: Any, h: Any, mask: Any, groups: int
) -> tuple[Any, Any]:
    """One scalar at a time: every channel of a head has the head's decay, every head of a group the group's b and c."""
    y, h = np.zeros_like(x), h.copy()
    width, states, heads = x.shape[2] // len(a), b.shape[2] // groups, len(a) // groups
    for n, t, i in np.ndindex(x.shape):
        head = i // width
        step, first = delta[n, t, head] * mask[t], head // heads * states
        for k in range(states):
            h[n, i, k] = math.exp(step * a[head]) * h[n, i, k] + step * x[n, t, i] * b[n, t, first + k]
        y[n, t, i] = sum(c[n, t, first + k] * h[n, i, k] for k in range(states)) + d[head] * x[n, t, i]
    return y, h


@pytest.mark.parametrize("roles", [BTC, "batch label channel"])
@pytest.mark.parametrize("optional", [True, False])
@pytest.mark.parametrize("groups", [1, 2])
def test_ssd(bench: Any, roles: str, optional: bool, groups: int) -> None:
    x, delta, a = normal(2, 6, 12), np.exp(normal(2, 6, 4)), -np.exp(normal(4))
    b, c, d, h = normal(2, 6, 2 * groups), normal(2, 6, 2 * groups), normal(4), normal(2, 12, 2)
    mask = np.array([1.0, 1, 0, 1, 1, 0])
    if not optional:
        d, h, mask = np.zeros(4), np.zeros((2, 12, 2)), np.ones(6)
    operands: list[Any] = [(x, roles), (delta, roles), (a, "plain"), (b, roles), (c, roles)]
    if optional:
        operands += [(d, "plain"), (h, "batch channel feature"), (mask, roles.split()[1])]
    bench.agree("ssd", operands, state_space_dual(x, delta, a, b, c, d, h, mask, groups), groups=groups)


@pytest.mark.parametrize(("writes", "reads", "groups", "own"), [(1, 1, 2, False), (2, 1, 1, True), (3, 2, 2, True)])
def test_ssd_with_a_decay_of_each_frame_several_writes_and_reads(
    bench: Any, writes: int, reads: int, groups: int, own: bool
) -> None:
    """Two heads of 3 channels, 2 states: what is written is added up write by write, what is read is read by read."""
    x, delta, a = normal(2, 4, writes, 2, 3), normal(2, 4, writes, 2), -np.exp(normal(2, 4, 2))
    b, c = normal(2, 4, writes, groups, 2), normal(2, 4, reads, groups, 2)
    diagonal, mask, h = normal(2, 4, writes, 2) if own else delta, np.array([1.0, 1, 0, 1]), normal(2, 2, 3, 2)
    y, last = np.zeros((2, 4, reads, 2, 3)), h.copy()
    for n, t, head, p, k in np.ndindex(2, 4, 2, 3, 2):
        group = head * groups // 2
        decayed = math.exp(a[n, t, head] * mask[t]) * last[n, head, p, k]
        pushes = [mask[t] * x[n, t, w, head, p] * b[n, t, w, group, k] for w in range(writes)]
        last[n, head, p, k] = decayed + sum(delta[n, t, w, head] * push for w, push in enumerate(pushes))
        met = decayed + sum(diagonal[n, t, w, head] * push for w, push in enumerate(pushes))
        for r in range(reads):
            y[n, t, r, head, p] += met * c[n, t, r, group, k]
    flat: list[Any] = [(v.reshape(2, 4, -1), BTC) for v in (x, delta, a, b, c)]
    state = (h.reshape(2, 6, 2), "batch channel feature")
    operands = [*flat, None, state, (mask, "time"), *([(diagonal.reshape(2, 4, -1), BTC)] if own else [])]
    bench.agree("ssd", operands, [y.reshape(2, 4, -1), last.reshape(2, 6, 2)], groups=groups)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_a_masked_frame_leaves_a_cell_as_it_was(bench: Any, name: str) -> None:
    gates = {"lstm": 4, "gru": 3}[name]
    x, ih, hh = normal(2, 4, 3), normal(gates * 5, 3), normal(gates * 5, 5)
    kept = [0, 1, 3]
    weights = [(ih, "plain plain"), (hh, "plain plain")]
    absent = [None] * 3  # biases and states that are left out
    y, *states = bench.run(name, [(a, bench_type(a, r)) for a, r in [(x[:, kept], BTC), *weights]])
    mask = (np.array([1.0, 1, 0, 1]), "time")
    full = np.insert(y, 2, y[:, 1], axis=1)
    bench.agree(name, [(x, BTC), *weights, *absent, mask], [full, *states])


def bench_type(array: np.ndarray, roles: str) -> TensorType:
    return TensorType(DType.F32, tuple(Axis(Role(r), Extent.of(n)) for r, n in zip(roles.split(), array.shape)))


def test_leaves() -> None:
    program = Program("p")
    builder = Builder(program)
    value = builder.constant(np.eye(2), ["channel", "time"])
    assert str(value.type) == "f32[channel 2, time 2]"
    assert str(builder.constant([True]).type) == "bool[1]"
    assert str(builder.constant(3, dtype=DType.I32).type) == "i32[]"
    assert builder.op("parameter", name="w", type=plain(DType.F32, 3)).type == plain(DType.F32, 3)
    with pytest.raises(InferenceError, match="parameter w has no value here"):
        builder.ops[-1].reference()
