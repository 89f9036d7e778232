"""Everyday ops of the library: activations with a knee, norms of groups, sums so far, choices by place.

A choice is made among numbers that all engines hold exactly (inputs that are one of a few numbers, ids): of others,
rounding may turn it.
"""

from __future__ import annotations

from bench.fuzz import files
from bench.fuzz.body import Body, Generator, Tensor
from bench.fuzz.generators.inputs import of_a_component
from bench.fuzz.generators.pointwise import linear, project


def knee(b: Body) -> Tensor:
    x = b.any()
    form = b.choice("elu({})", "elu({}, alpha = 0.5)", "leaky_relu({})", "leaky_relu({}, 0.2)", "prelu({})")
    return b.like(x, form.format(x.name))


def limits(b: Body) -> Tensor:
    """The larger, or the smaller, of a tensor and a number."""
    x = b.any()
    return b.like(x, b.choice("maximum({}, -0.25)", "minimum({}, 0.5)", "minimum(maximum({}, -1), 1)").format(x.name))


def grouped_norm(b: Body) -> Tensor:
    x = b.any()
    if b.joint or not b.batch:
        return linear(b)
    groups = b.choice(*(n for n in (1, 2) if x.channels // n > 1))
    return b.like(x, f"group_norm({x.name}, {groups}, over_time = false, epsilon = 0.125)")


def sums(b: Body) -> Tensor:
    x = b.any()
    if b.joint or not b.batch:
        return linear(b)
    return b.like(x, f"0.125 * cumulative_sum(sin({x.name}))")


def _levels(b: Body, x: Tensor, channels: int) -> str:
    """An input of so many numbers a frame, each one of three."""
    axes = [axis for axis in b.axes(x.jump) if axis != "U" or b.labels]
    return b.input("level", f"f32[{', '.join([*axes, str(channels)])}] in {{0, 0.5, 2}}")


@of_a_component
def chosen(b: Body) -> Tensor:
    """x or another tensor, by what an input tells."""
    x = b.any()
    if b.joint:
        return linear(b)  # a mask has the axes of what it is for
    level = _levels(b, x, b.choice(1, x.channels))
    held = b.choice(
        f"{level} > 0.25", f"{level} <= 1", f"{level} == 0.5", f"{level} * {level} != 4", f"1 - ({level} < 1)"
    )
    return b.like(x, f"where({held}, {x.name}, {b.partner(x).name})")


@of_a_component
def place(b: Body) -> Tensor:
    """Places of the largest numbers of an input, as numbers or as rows of ones and zeros."""
    x = b.any()
    level = _levels(b, x, 4)
    if b.choice(True, False):
        row = b.let(f"one_hot(argmax({level}), 4)", 4, x.jump)
    else:
        values, places = b.shared.fresh("a"), b.shared.fresh("b")
        b.say(f"{values}, {places} = top_k({level}, 2)")
        row = b.let(f"concat({values}, 0.25 * {places})", 4, x.jump)
    return b.like(x, f"{x.name} + {project(b, row, x.channels).name}")


@of_a_component
def codes(b: Body) -> Tensor:
    """The rows that a residual quantiser finds for numbers of an input, or that numbers of an input name."""
    x = b.any()
    if b.choice(True, False):
        rows, places = b.shared.fresh("a"), b.shared.fresh("b")
        b.say(f"{rows}, {places} = quantise({_levels(b, x, 2)}, 4, {b.whole(1, 2)}) as {b.shared.fresh('rvq')}")
        row = Tensor(rows, 2, x.jump)
    else:
        row = b.let(f"dequantise(2 * {_levels(b, x, 2)}, 5, 2) as {b.shared.fresh('rvq')}", 2, x.jump)
    return b.like(x, f"{x.name} + {project(b, row, x.channels).name}")


def prepended(b: Body) -> Tensor:
    """A token in front of all frames, which mixes with them; then the frames alone."""
    x = b.any()
    if b.joint or b.labels:
        return linear(b)
    token = b.let(f'0.5 * slice({x.name}, "time", 0, 1) + {b.parameter(x.channels)}', x.channels, x.jump)
    joined = b.let(f'concat({token.name}, {b.partner(x).name}, axis = "time")', x.channels, x.jump)
    return b.like(x, f'slice(tanh(conv1d({joined.name}, {x.channels}, 2)), "time", begin = 1)')


def over_all_frames(b: Body) -> Tensor:
    """Norms and a softmax over the utterance."""
    x = b.any()
    if b.roles() != ["batch", "time", "channel"]:
        return linear(b)
    forms = "instance_norm({}, epsilon = 0.125)", "time_softmax({})", "group_norm({}, 1, epsilon = 0.125)"
    return b.like(x, b.choice(*forms).format(x.name))


def from_a_file(b: Body) -> Tensor:
    """Numbers of a file beside the spec: one a channel, or a matrix."""
    x = b.any()
    n = x.channels
    if n not in files.CHANNELS:
        return linear(b)
    if b.choice(True, False):
        shape = b.choice("", f", shape = [{n}]")
        return b.like(x, f'{x.name} {b.choice("+", "-", "*")} constant(file = "{files.vector(n)}"{shape})')
    named = f'file = "{files.TENSORS}", tensor = "{files.square(n)}", shape = [{n}, {n}]'
    return b.like(x, f"op.linear({x.name}, constant({named}))")


def counted(b: Body) -> Tensor:
    """A constant whose numbers a formula gives."""
    x = b.any()
    form = b.choice("cos(0.75 * {})", "1 / (1 + {})", "sqrt({})", "sin({} / 3) ** 2")
    known = form.format(f'op.constant(arange({x.channels}), "f32", ["channel"])')
    return b.like(x, f"{x.name} {b.choice('+', '*')} {known}")


GENERATORS: tuple[Generator, ...] = (from_a_file, counted, knee, limits, grouped_norm, sums, chosen, place, codes)
WHOLE: tuple[Generator, ...] = (prepended, over_all_frames, over_all_frames)
