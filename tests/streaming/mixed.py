"""Random programs whose inputs have several rates, and programs over time and labels."""

from __future__ import annotations

from hypothesis import strategies as st

from mctc.ir.dims import Extent
from mctc.ir.program import Value
from mctc.ir.types import Axis, Role

from .programs import (
    CHANNELS,
    GENERATORS,
    Case,
    Draft,
    Draw,
    attention,
    binary,
    bounded_unary,
    broadcast,
    conv1d,
    decimate,
    division,
    grown,
    linear,
    norm,
    recurrent,
    regroup,
    scalar,
    softmax,
    unary,
)

RATES = (Extent.of("T"), Extent.of("T") * 2, Extent.of("T") * 3, Extent.of("T") / 2)
BESIDE_LABELS = (
    unary, bounded_unary, scalar, binary, division, broadcast, linear, conv1d, norm, softmax, attention, regroup,
    decimate, recurrent,
)  # fmt: skip


@st.composite
def at_rates(draw: Draw) -> Case:
    """A program of inputs of two or three rates; what grows on one of them meets what has its rate."""
    g = Draft(draw, Role.TIME, laid_out=draw(st.booleans()))
    for extent in draw(st.lists(st.sampled_from(RATES), min_size=2, max_size=3, unique=True)):
        g.pool.append(g.input(g.type(draw(st.sampled_from(CHANNELS)), extent)))
    for x in [x for x in g.pool if g.jump(x) < 1]:  # where it meets an input of T frames
        g.pool.append(g.op("slice", x, axis="time", stride=g.jump(x).denominator))
    return grown(g, GENERATORS, 9)


@st.composite
def beside_labels(draw: Draw) -> Case:
    """A program over frames and labels, of which a call takes one: a joiner with more in it than usual."""
    g = Draft(draw, Role.TIME, laid_out=draw(st.booleans()))
    frames, label = g.input(g.type(4)), Axis(Role.LABEL, Extent.of("U"))
    at = frames.type.find(Role.UNIT) if g.laid_out else frames.type.find(Role.TIME)
    axes = [label if i == at else axis for i, axis in enumerate(frames.type.axes)]
    labels = Value(
        frames.type.with_axes(Axis(Role.UNIT, Extent.of(1)) if a.role is Role.TIME else a for a in axes), "p"
    )
    g.inputs.append(labels)
    g.pool += [g.op("tanh", frames), g.op("add", frames, g.linear(labels, 4))]
    return grown(g, BESIDE_LABELS, 9)
