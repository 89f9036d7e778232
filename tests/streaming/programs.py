"""Random well-typed programs over a stream: every op that may stand on one, chained, branched and rejoined."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np
from hypothesis import strategies as st

from mctc.evaluate.reference import evaluate
from mctc.ir.build import Builder
from mctc.ir.dims import Extent
from mctc.ir.op import Array
from mctc.ir.program import Dim, Function, Initializer, Parameter, Program, Source, Value
from mctc.ir.text import print_program
from mctc.ir.types import Axis, DType, Role, TensorType, plain
from mctc.streaming.derive import derive_program
from mctc.streaming.run import label_by_label, stream
from mctc.streaming.step_info import StepInfo

Draw = Callable[[st.SearchStrategy[Any]], Any]
CHANNELS = (2, 4, 6)
MOST_STRIDE = 4  # product of the strides along a program
BESIDE = 3  # labels beside time


@dataclass
class Case:
    """A program of one function `f` over one sequence, with values for its parameters."""

    program: Program
    weights: Mapping[str, Array]
    role: Role
    multiple: int  # base frames that every rate divides

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(print_program(self.program))

    @property
    def function(self) -> Function:
        return self.program.functions["f"]

    def inputs(self, frames: int, seed: int = 1) -> dict[str, Array]:
        rng = np.random.default_rng(seed)
        sizes = {"B": 1, "T": frames, "U": frames if self.role is Role.LABEL else BESIDE}
        types = {value.name: value.type.substitute(sizes) for value in self.function.inputs}
        return {
            name: rng.integers(0, 5, t.shape) if t.dtype is DType.I32 else rng.normal(size=t.shape)
            for name, t in types.items()
        }

    def whole(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return evaluate(self.function, inputs, self.weights.__getitem__)[0]

    def step(self, chunk: int) -> tuple[Function, StepInfo]:
        program, infos = derive_program(self.program, chunk)
        return program.functions["f"], infos["f"]

    def streamed(self, inputs: Mapping[str, Array], chunks: list[int]) -> dict[str, Array]:
        steps = {chunk: self.step(chunk) for chunk in set(chunks)}
        value = self.weights.__getitem__
        return label_by_label(
            steps[chunks[0]], inputs,
            lambda part: stream(steps.__getitem__, part, chunks, lambda f, i, s: evaluate(f, i, value, s)),
        )  # fmt: skip


class Draft:
    """A function under construction: a pool of streaming values from which the next op takes its operands."""

    def __init__(self, draw: Draw, role: Role, laid_out: bool) -> None:
        self.draw, self.role, self.laid_out = draw, role, laid_out
        dims = {"B": Dim(Role.BATCH), "T": Dim(Role.TIME, Fraction(100)), "U": Dim(Role.LABEL)}
        self.program, self.weights = Program("random", dims=dims), dict[str, Array]()
        self.builder = Builder(self.program)
        self.inputs: list[Value] = []
        self.pool: list[Value] = []

    def choice(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def type(self, channels: int, extent: Extent | None = None) -> TensorType:
        batch, channel = Axis(Role.BATCH, Extent.of("B")), Axis(Role.CHANNEL, Extent.of(channels))
        along = Axis(self.role, extent or Extent.of("T" if self.role is Role.TIME else "U"))
        if self.laid_out:
            return TensorType(DType.F32, (batch, channel, Axis(Role.UNIT, Extent.of(1)), along))
        return TensorType(DType.F32, (batch, along, channel))

    def input(self, type_: TensorType) -> Value:
        value = Value(type_, f"x{len(self.inputs)}")
        self.inputs.append(value)
        return value

    def param(self, *shape: int, scale: float = 0.6, positive: bool = False) -> Value:
        name, type_ = f"w{len(self.weights)}", plain(DType.F32, *shape)
        self.program.sources[name] = (type_, Initializer())
        self.program.parameters[name] = Parameter(name, type_, Source(name, type_))
        array = np.random.default_rng(len(self.weights)).normal(size=shape) * scale
        self.weights[name] = np.abs(array) + 0.1 if positive else array
        return self.builder.parameter(name)

    def op(self, name: str, *operands: Value | None, **attributes: Any) -> Value:
        return self.builder.op(name, *operands, **attributes)

    def any(self) -> Value:
        return self.draw(st.sampled_from(self.pool))  # type: ignore[no-any-return]

    def partner(self, x: Value) -> Value:
        """A value of x's type, x itself if there is no other."""
        return self.draw(st.sampled_from([v for v in self.pool if v.type == x.type]))  # type: ignore[no-any-return]

    def channels(self, x: Value) -> int:
        at = x.type.find(Role.CHANNEL)
        assert at is not None
        return x.type.extents[at].value

    def jump(self, x: Value) -> Fraction:
        """Base frames per frame of x."""
        assert x.type.sequence is not None
        extent = x.type.extents[x.type.sequence]
        return 1 / extent.coefficient(*extent.symbols)

    def linear(self, x: Value, out: int) -> Value:
        return self.op("linear", x, self.param(out, self.channels(x)), self.param(out))


def unary(g: Draft) -> Value:
    x = g.any()
    name = g.choice("neg", "abs", "square", "tanh", "sin", "cos", "relu", "sigmoid", "silu", "gelu", "softplus")
    return g.op("tanh", g.op(name, x)) if name == "square" else g.op(name, x)


def bounded_unary(g: Draft) -> Value:
    """Ops that want a bounded or positive operand."""
    name = g.choice("exp", "log", "sqrt", "rsqrt", "reciprocal")
    squashed = g.op("sigmoid", g.any())
    return g.op(name, g.op("scale", squashed, factor=1.0, offset=0.5))


def scalar(g: Draft) -> Value:
    if g.choice(True, False):
        return g.op("scale", g.any(), factor=g.choice(0.5, -1.25), offset=g.choice(0.0, 1.0))
    return g.op("clip", g.any(), low=-0.8, high=0.9)


def binary(g: Draft) -> Value:
    left = g.any()
    return g.op("tanh", g.op(g.choice("add", "sub", "mul", "maximum", "minimum"), left, g.partner(left)))


def division(g: Draft) -> Value:
    x = g.any()
    return g.op("div", x, g.op("scale", g.op("sigmoid", g.partner(x)), offset=1.0))


def broadcast(g: Draft) -> Value:
    """A vector over the channels, or one value a frame, against a whole tensor."""
    x = g.any()
    if g.choice(True, False):
        shape = (g.channels(x), 1, 1) if g.laid_out else (g.channels(x),)
        return g.op(g.choice("add", "mul"), x, g.param(*shape))
    return g.op("sub", x, g.op(g.choice("reduce_mean", "reduce_max", "reduce_min"), g.partner(x), axis="channel"))


def linear(g: Draft) -> Value:
    return g.linear(g.any(), g.choice(*CHANNELS))


def conv1d(g: Draft) -> Value:
    x = g.any()
    stride = g.choice(1, 1, 2) if g.role is Role.TIME and g.jump(x) < MOST_STRIDE else 1
    kernel, dilation = g.draw(st.integers(1, 5)), g.draw(st.integers(1, 3))
    into, groups = g.channels(x), g.choice(1, 2)
    span = dilation * (kernel - 1) + 1
    slack = g.draw(st.integers(0, stride - 1))
    total = max(0, span - stride + slack)
    left = g.draw(st.integers(0, total))
    weight = g.param(g.choice(*CHANNELS), into // groups, kernel)
    bias = g.choice(None, weight)
    bias = None if bias is None else g.param(weight.type.shape[0])
    return g.op("conv1d", x, weight, bias, stride=stride, dilation=dilation, groups=groups, pad=(left, total - left))


def conv2d(g: Draft) -> Value:
    """Channels split into features, convolved over features and frames, merged again."""
    x = g.op("split_channels", g.any(), groups=2)
    stride = g.choice(1, 2) if g.role is Role.TIME and g.jump(x) < MOST_STRIDE else 1
    kernel, dilation = g.draw(st.integers(1, 4)), g.draw(st.integers(1, 2))
    total = max(0, dilation * (kernel - 1) + 1 - stride)
    left = g.draw(st.integers(0, total))
    weight = g.param(2, 2, g.choice(1, 3), kernel)
    rows = (weight.type.shape[2] - 1) // 2
    y = g.op(
        "conv2d", x, weight, g.param(2), stride=(1, stride), dilation=(1, dilation),
        pad=(left, total - left), pad_feature=(rows, rows),
    )  # fmt: skip
    return g.op("merge_channels", y)


def norm(g: Draft) -> Value:
    x, kind = g.any(), g.choice("layer_norm", "rms_norm", "batch_norm")
    n = g.channels(x)
    if kind == "batch_norm":
        return g.op(kind, x, g.param(n), g.param(n, positive=True), g.param(n), g.param(n))
    # a large epsilon: two channels that are nearly equal would make the test measure rounding errors
    return g.op(kind, x, *([g.param(n)] + ([g.param(n)] if kind == "layer_norm" else [])), epsilon=0.1)


def stack(g: Draft) -> Value:
    """Two consecutive frames become one of twice the channels."""
    slow = [v for v in g.pool if g.role is Role.TIME and g.jump(v) < MOST_STRIDE and not g.laid_out]
    if not slow:
        return linear(g)
    x = g.draw(st.sampled_from(slow))
    wide = g.type(2 * g.channels(x), Extent.of("T") / (2 * g.jump(x)))
    axes = [(axis.role.value, axis.extent) for axis in wide.axes]
    return g.linear(g.op("reshape", x, axes=axes), 4)


def spread(g: Draft) -> Value:
    """Every frame becomes two or three, each of a part of its channels."""
    fast = [v for v in g.pool if g.role is Role.TIME and g.jump(v) > Fraction(1, MOST_STRIDE) and not g.laid_out]
    if not fast:
        return linear(g)
    x, parts = g.draw(st.sampled_from(fast)), g.choice(2, 2, 3)
    narrow = g.type(2, Extent.of("T") * parts / g.jump(x))
    axes = [(axis.role.value, axis.extent) for axis in narrow.axes]
    return g.linear(g.op("reshape", g.linear(x, 2 * parts), axes=axes), g.choice(*CHANNELS))


def softmax(g: Draft) -> Value:
    return g.op(g.choice("softmax", "log_softmax"), g.any())


def regroup(g: Draft) -> Value:
    """Parts of the channels of two values, swapped and joined."""
    x = g.any()
    first, second = g.builder.emit("split", x, parts=2)
    other = g.op("slice", g.partner(x), axis="channel", begin=1, end=3) if g.channels(x) > 2 else second
    joined = g.op("concat", second, first, other)
    return g.linear(joined, g.choice(*CHANNELS))


def decimate(g: Draft) -> Value:
    slow = [v for v in g.pool if g.role is Role.TIME and g.jump(v) < MOST_STRIDE]
    if not slow:
        return unary(g)
    return g.op("slice", g.draw(st.sampled_from(slow)), axis="time", stride=2)


def recurrent(g: Draft) -> Value:
    x, kind, hidden = g.any(), g.choice("lstm", "gru"), g.choice(2, 4)
    gates = 4 if kind == "lstm" else 3
    biases = [g.param(gates * hidden)] + ([g.param(gates * hidden)] if kind == "gru" else [])
    return g.op(kind, x, g.param(gates * hidden, g.channels(x)), g.param(gates * hidden, hidden), *biases)


def scan(g: Draft) -> Value:
    x = g.any()
    inner, states = g.channels(x), 2
    delta = g.op("softplus", g.linear(g.partner(x), inner))
    a = g.op("neg", g.op("exp", g.param(inner, states)))
    b, c = g.linear(x, states), g.linear(g.partner(x), states)
    return g.op("selective_scan", x, delta, a, b, c, g.choice(None, a) and g.param(inner))


def looped(g: Draft) -> Value:
    """A recurrence of its own; a gate leaves the loop beside the state."""
    x = g.any()
    axes = tuple((axis.role.value, axis.extent) for axis in x.type.axes)
    before = g.op("scan_state", axes=axes, state="h")
    gate = g.op("sigmoid", g.op("add", g.linear(before, g.channels(x)), g.partner(x)))
    after = g.op("add", g.op("mul", gate, before), g.op("tanh", x))
    h, out, _ = g.builder.emit("scan", before, after, gate)
    return g.op("add", h, out)


def dual(g: Draft) -> Value:
    """A scan with one decay a head, in one or two groups."""
    x = g.any()
    heads = 2 if g.channels(x) % 2 == 0 else 1
    groups = g.draw(st.integers(1, heads))
    delta = g.op("softplus", g.linear(g.partner(x), heads))
    a = g.op("neg", g.op("exp", g.param(heads)))
    b, c = g.linear(x, 2 * groups), g.linear(g.partner(x), 2 * groups)
    return g.op("ssd", x, delta, a, b, c, g.choice(None, a) and g.param(heads), groups=groups)


def written(g: Draft) -> Value:
    """A scan whose decay is each frame's own, written to twice a frame and read once."""
    x = g.any()
    heads, width = 2, g.channels(x)
    decay = g.op("neg", g.op("softplus", g.linear(g.partner(x), heads)))
    values, delta = g.linear(x, 2 * heads * width), g.op("sigmoid", g.linear(x, 2 * heads))
    b, c = g.linear(x, 4), g.linear(g.partner(x), 2)
    own = g.choice(None, delta)
    return g.linear(g.op("ssd", values, delta, decay, b, c, None, None, None, own), width)


def attention(g: Draft) -> Value:
    q = g.any()
    k, v = g.partner(q), g.partner(q)
    heads = 2
    left, right = g.draw(st.integers(0, 4)), g.draw(st.integers(0, 3))
    if g.choice(True, False):  # grouped: one key and value head serves both
        k, v = g.linear(k, g.channels(q) // heads), g.linear(v, 2)
        return g.op("attention", q, k, v, None, heads=heads, kv_heads=1, left=left, right=right)
    return g.op("attention", q, k, v, None, heads=heads, left=left, right=right)


def even_attention(g: Draft) -> Value:
    """Attention over one frame more than its own, at weights that no frame loses to rounding."""
    x = g.op("tanh", g.linear(g.any(), 4))
    return g.op("attention", x, x, x, None, heads=2, left=g.draw(st.integers(0, 4)), right=g.draw(st.integers(1, 3)))


GENERATORS: tuple[Callable[[Draft], Value], ...] = (
    unary, bounded_unary, scalar, binary, binary, division, broadcast, linear, conv1d, conv1d, conv1d, conv2d, norm,
    softmax, attention,
    regroup, stack, spread, decimate, recurrent, scan, dual, written, looped, attention,
)  # fmt: skip
# Generators whose every entry depends on every entry in its window, smoothly: their receptive field can be measured.
DENSE: tuple[Callable[[Draft], Value], ...] = (linear, even_attention, scan, decimate, division, recurrent)


@st.composite
def cases(
    draw: Draw, role: Role = Role.TIME, generators: tuple[Callable[[Draft], Value], ...] = GENERATORS, most: int = 9
) -> Case:
    """A program of four to `most` generators, if that is more; the last values and a random one are its results."""
    g = Draft(draw, role, laid_out=draw(st.booleans()))
    if role is Role.LABEL and not g.laid_out and draw(st.booleans()):
        token = TensorType(DType.I32, g.type(1).axes[:2], Extent.of(5))
        g.pool.append(g.op("embedding", g.input(token), g.param(5, 4)))
    else:
        g.pool.append(g.input(g.type(draw(st.sampled_from(CHANNELS)))))
    if draw(st.booleans()):
        g.pool.append(g.input(g.type(4)))
    return grown(g, generators, most)


def grown(g: Draft, generators: tuple[Callable[[Draft], Value], ...], most: int) -> Case:
    """The program of what is in the pool and as many generators."""
    for grow in g.draw(st.lists(st.sampled_from(generators), min_size=min(4, most), max_size=most)):
        g.pool.append(grow(g))
    results = [("y", g.pool[-1]), ("z", g.pool[-2]), ("w", g.any())]
    g.program.functions["f"] = Function("f", g.inputs, g.builder.ops, results)
    return Case(g.program, g.weights, g.role, lcm(*(g.jump(v).numerator for v in g.pool)))
