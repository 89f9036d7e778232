"""Frame t from frame t: elementwise ops, broadcasting, projections, norms, and moves of channels.

Operands of exp, log, division and the like are kept within bounds, and epsilons are large: what runtimes disagree
about is then no rounding error.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.fuzz.body import CHANNELS, Body, Generator, Tensor
from mctc.ir.declared import registry
from mctc.ir.op import Op
from mctc.ir.ops.elementwise import BOUNDED, POSITIVE, Binary, Unary

OWN = [op for op in registry().values() if op.__module__.startswith("mctc.ir.ops.") and op.drawn]
UNARY = tuple(op.name for op in OWN if issubclass(op, Unary) and op.drawn == BOUNDED)
POSITIVES = tuple(op.name for op in OWN if issubclass(op, Unary) and op.drawn == POSITIVE)
BINARY = tuple(op.name for op in OWN if issubclass(op, Binary) and op.drawn == Binary.drawn)
OTHERS = [op for op in OWN if op.name not in (*UNARY, *POSITIVES, *BINARY)]
OPERATORS = {"add": "+", "sub": "-", "mul": "*"}


def unary(b: Body) -> Tensor:
    x, name = b.any(), b.choice(*UNARY)
    if name == "square":
        return b.like(x, f"tanh({b.choice(f'square({x.name})', f'{x.name} ** 2')})")
    inner = f"{b.choice('tanh', 'sin', 'cos', 'sigmoid')}({x.name})"  # bounded: what follows it stays so
    return b.like(x, b.choice(f"{name}({inner})", f"-{x.name}" if name == "neg" else f"op.{name}({x.name})"))


def bounded_unary(b: Body) -> Tensor:
    x, name = b.any(), b.choice(*POSITIVES)
    inner = f"sigmoid({x.name}) + 0.5"
    spelled = {"sqrt": f"({inner}) ** 0.5", "reciprocal": f"1 / ({inner})"}
    return b.like(x, b.choice(f"{name}({inner})", spelled.get(name, f"op.{name}({inner})")))


def scalar(b: Body) -> Tensor:
    x = b.any()
    factor, offset = b.choice("0.5", "-1.25", "1 / 4"), b.choice("1", "0.75", "-0.5")
    forms = (
        f"{factor} * {x.name} + {offset}", f"{x.name} / 2 - {offset}", f"{offset} - {x.name}",
        f"scale({x.name}, {factor}, {offset})", f"clip({x.name}, -0.75, 0.875)", f"clip({x.name}, low = 0, high = 6)",
    )  # fmt: skip
    return b.like(x, b.choice(*forms))


def binary(b: Body) -> Tensor:
    left, name = b.any(), b.choice(*BINARY)
    right = b.partner(left)
    sign = OPERATORS.get(name)
    spelled = f"{left.name} {sign} {right.name}" if sign else f"{name}({left.name}, {right.name})"
    return b.like(left, f"tanh({b.choice(spelled, f'op.{name}({left.name}, {right.name})')})")


def division(b: Body) -> Tensor:
    x = b.any()
    below = f"(sigmoid({b.partner(x).name}) + 1)"
    return b.like(x, b.choice(f"{x.name} / {below}", f"div({x.name}, {below})"))


def broadcast(b: Body) -> Tensor:
    """A vector over the channels, a known vector, or one value a frame, against a whole tensor."""
    x = b.any()
    if b.choice(True, False):
        return b.like(x, f"{x.name} {b.choice('+', '*')} {b.parameter(x.channels)}")
    if b.choice(True, False):
        numbers = ", ".join(b.choice("0.5", "-1", "0.25", "2") for _ in range(x.channels))
        known = f'constant([{numbers}], "f32", ["channel"])'
        return b.like(x, f"{b.choice('mul', 'maximum', 'add')}({x.name}, {known})")
    reduce = b.choice("reduce_sum", "reduce_mean", "reduce_max", "reduce_min")
    axis = b.choice('axis = "channel"', '"channel"')
    return b.like(x, f"{x.name} - 0.25 * {reduce}({b.partner(x).name}, {axis})")


def stated(ops: Sequence[type[Op]]) -> Generator:
    """Writes one of these ops as its class says (`Op.drawn`)."""

    def generator(b: Body) -> Tensor:
        x, op = b.any(), b.choice(*ops)
        inner = f"{b.choice('tanh', 'sin', 'cos', 'sigmoid')}({x.name})"
        known = {"x": x.name, "partner": b.partner(x).name, "bounded": inner, "positive": f"sigmoid({x.name}) + 0.5"}
        return b.like(x, op.drawn.format(name=op.name, **known))

    return generator


def is_pointwise(op: type[Op]) -> bool:
    """Whether frames of the op's results depend on no others."""
    return op.behaviour is Op.behaviour and op.behaviour_along is Op.behaviour_along


as_stated = stated([op for op in OTHERS if is_pointwise(op)])


def norm(b: Body) -> Tensor:
    x, kind = b.any(), b.choice("layer_norm", "rms_norm", "batch_norm")
    n = x.channels
    if b.choice(True, False):
        return b.like(x, f"{kind}({x.name}, epsilon = 0.125)")
    if kind == "batch_norm":
        variance = b.parameter(n, start=b.choice("0.75", "constant(0.5)", "log_arange()"))
        affine = b.choice("", f", {b.parameter(n)}, {b.parameter(n)}")
        return b.like(x, f"op.batch_norm({x.name}, {b.parameter(n)}, {variance}{affine}, epsilon = 0.25)")
    weights = [b.parameter(n) for _ in range(b.choice(0, 1, 2) if kind == "layer_norm" else b.choice(0, 1))]
    return b.like(x, f"op.{kind}({', '.join([x.name, *weights])}, epsilon = 0.125)")


def softmax(b: Body) -> Tensor:
    x, axis = b.any(), b.choice("", ', axis = "channel"')
    return b.like(x, f"{b.choice('softmax', 'log_softmax')}({x.name}{axis})")


def linear(b: Body) -> Tensor:
    x = b.any()
    return project(b, x, b.choice(*CHANNELS))


def project(b: Body, x: Tensor, out: int) -> Tensor:
    """A projection to `out` channels: by the prelude's block, by the op, or as a matrix product."""
    form = b.choice("block", "named", "op", "product")
    if form == "block":
        return b.let(f"linear({x.name}, {b.number(out)}{b.choice('', ', bias = false')})", out, x.jump)
    if form == "named":
        return b.let(f"linear({x.name}, out = {b.number(out)}) as {b.shared.fresh('proj')}", out, x.jump)
    if form == "product":
        return b.let(f"{x.name} @ {b.parameter(x.channels, out)}", out, x.jump)
    bias = b.choice("", ", none", f", {b.parameter(out)}")
    return b.let(f"op.linear({x.name}, {b.parameter(out, x.channels)}{bias})", out, x.jump)


def widen(b: Body) -> Tensor:
    """Out to so many channels that both projections are worth compressing, and back beside the tensor itself: what
    two bits cost stays small."""
    x = b.any()
    wide = max(256, 2048 // x.channels)
    inner = b.let(f"relu(linear({x.name}, {wide}) as {b.shared.fresh('up')})", wide, x.jump)
    return b.like(x, f"{x.name} + 0.125 * linear({inner.name}, {b.number(x.channels)}) as {b.shared.fresh('down')}")


def regroup(b: Body) -> Tensor:
    """Parts of the channels of two tensors, swapped, padded and joined."""
    x = b.any()
    first, second = b.shared.fresh("a"), b.shared.fresh("b")
    sizes = f"sizes = [{x.channels // 2}, {x.channels // 2}]"
    b.say(f"{first}, {second} = split({x.name}, {b.choice('2', 'parts = 2', sizes)})")
    other, width = second, x.channels // 2
    if x.channels > 2:
        other, width = f'slice({b.partner(x).name}, "channel", 1, 3)', 2
    if b.choice(True, False):
        after, value = b.whole(1, 3), b.choice("", ", value = 0.5")
        other, width = f'pad({other}, axis = "channel", after = {after}{value})', width + after
    joined = b.let(f"concat({second}, {first}, {other})", x.channels + width, x.jump)
    return project(b, joined, b.choice(*CHANNELS))


def turn(b: Body) -> Tensor:
    """The axes in another order, something on them, and back."""
    x = b.any()
    rank = len(b.roles())
    order = [rank - 1, *range(rank - 1)] if b.choice(True, False) else [*range(rank - 2), rank - 1, rank - 2]
    back = [order.index(i) for i in range(rank)]
    turned = f"{b.choice('tanh', 'softmax')}(transpose({x.name}, {order}))"
    return b.like(x, f"transpose({turned}, order = {back})")


def features(b: Body) -> Tensor:
    """Channels split into features, an op that sees them, merged again."""
    x = b.any()
    groups = b.choice(1, 2)
    split = f"split_channels({x.name}, groups = {groups})" if groups > 1 else f"split_channels({x.name})"
    inner = b.choice(
        split, f"relu({split})", f'softmax({split}, axis = "feature")', f'softmax({split}, axis = "channel")',
        f'reverse({split}, "feature")', f'{split} - 0.5 * reduce_mean({split}, axis = "feature")',
    )  # fmt: skip
    return b.like(x, f"merge_channels({inner})")


GENERATORS: tuple[Generator, ...] = (
    unary, unary, unary, unary, bounded_unary, bounded_unary, scalar, scalar, binary, binary, division, broadcast,
    broadcast, broadcast, as_stated, norm, norm, softmax, linear, linear, regroup, turn, features, widen,
)  # fmt: skip
