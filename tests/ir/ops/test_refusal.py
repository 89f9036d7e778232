"""Whatever operands and attributes an op is given, it applies or refuses with an InferenceError that has a message."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mctc.ir.build import make
from mctc.ir.declared import registry
from mctc.ir.dims import Extent
from mctc.ir.location import Origin
from mctc.ir.op import REQUIRED, InferenceError, Op
from mctc.ir.program import Value
from mctc.ir.text import parse_program
from mctc.ir.types import TensorType

TYPES = """
f32[] f32[4] f32[4,4] f32[8,4] f32[4,4,1] f32[4,4,3,3] f32[N,4] f32[N] f32[0,4] bool[4] f32[time T]
f32[batch B,time T,channel 4] f32[batch B,channel 4,unit 1,time T] f32[batch B,time T,feature 4,channel 4]
f32[batch B,label U,channel N] i32[batch B,label U] i32[batch B,unit 1,unit 1,label U] f32[time T,channel 0]
f32[batch 1,channel 4] f32[channel 4,time 4,feature 2] f32[batch B,time T/2 - 1,channel 4]
f32[unit 1,channel 4,unit 1,time T]
""".replace(", ", ",")
PAIRS = [("batch", 2), (("batch", Extent.of("B")), ("channel", 4)), (("row", 2),), ((2, 2),), (("batch", "x", "y"),)]
VALUES = [
    *(0, 1, 2, 3, -1, 4, 1.5, 1e-3, True, None, "channel", "time", "x", "f16", (), (1,), (1, 2), (0, 0), (-1, 0)),
    *(Fraction(1, 2), Extent.of("T"), {"a": 1}, float("nan")),
    *PAIRS,
]


def types() -> list[TensorType]:
    words = TYPES.replace("] ", "]\n").split("\n")
    inputs = ", ".join(f"%x{i}: {word}" for i, word in enumerate(filter(None, words)))
    return [value.type for value in parse_program(f"function @f({inputs}) {{}}").functions["f"].inputs]


OPERANDS = st.none() | st.sampled_from(types())


@st.composite
def applications(draw: Any) -> tuple[type[Op], list[TensorType | None], dict[str, Any]]:
    definition = draw(st.sampled_from([op for _, op in sorted(registry().items())]))
    count = len(definition.fields)
    operands = draw(st.lists(OPERANDS, min_size=count, max_size=count + 1))
    attributes = {
        name: draw(st.sampled_from(VALUES))
        for name, default in definition.defaults.items()
        if default is REQUIRED or draw(st.booleans())
    }
    return definition, operands, attributes


@settings(max_examples=200, deadline=None)
@given(applications())
def test_an_op_applies_or_refuses(application: tuple[type[Op], list[TensorType | None], dict[str, Any]]) -> None:
    definition, operands, attributes = application
    refusal = ""
    try:
        op = make(definition, [None if t is None else Value(t) for t in operands], attributes, Origin())
    except InferenceError as error:
        refusal = str(error)
        op = None
    assert (refusal == "") != (op is None)
    if op is not None:
        assert op.time is not None
