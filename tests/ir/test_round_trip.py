"""Random programs: print, parse, print gives the same text, and the parsed program verifies."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mctc.ir.build import Builder
from mctc.ir.dims import Extent
from mctc.ir.domain import Choices, Domain, Interval
from mctc.ir.location import Event, Location, Origin
from mctc.ir.program import Dim, Function, Initializer, Parameter, Program, Section, Source, State, Value
from mctc.ir.text import equal, parse_program, print_program
from mctc.ir.types import Axis, DType, Role, TensorType, plain
from mctc.ir.verify import verify

FRAMES = TensorType(
    DType.F32,
    (Axis(Role.BATCH, Extent.of("B")), Axis(Role.TIME, Extent.of("T") / 2), Axis(Role.CHANNEL, Extent.of(4))),
)
STATE = FRAMES.with_axes(Axis(axis.role, Extent.of(4)) for axis in FRAMES.axes)

texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=8)
names = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=8)
floats = st.floats(allow_nan=False)
locations = st.builds(Location, texts, *[st.integers(1, 99)] * 2, *[st.integers(0, 99)] * 2)
origins = st.builds(
    Origin, st.none() | locations, texts, st.lists(st.builds(Event, names, texts), max_size=2).map(tuple)
)
settings_values = st.recursive(
    st.none() | st.booleans() | st.integers() | floats | texts | st.fractions(max_denominator=99),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)
ends = st.floats(allow_nan=False, allow_infinity=False)
domains_of_numbers: st.SearchStrategy[Domain] = st.one_of(
    st.lists(ends, min_size=1, max_size=3, unique=True).map(lambda values: Choices(tuple(sorted(values)))),
    st.builds(
        lambda a, b, excluded: Interval(min(a, b), max(a, b), excluded), ends, ends, st.tuples(*[st.booleans()] * 2)
    ),
    st.builds(lambda end, excluded: Interval(low=end, excluded=(excluded, False)), ends, st.booleans()),
    st.builds(lambda end, excluded: Interval(high=end, excluded=(False, excluded)), ends, st.booleans()),
)
ARRAY_TYPES = ("float16", "float32", "float64", "int32", "int64", "bool")


@st.composite
def programs(draw: Any) -> Program:
    program = Program(draw(names), {"B": Dim(Role.BATCH), "T": Dim(Role.TIME, draw(st.fractions(1, 100)))})
    for name in draw(st.lists(names, max_size=2, unique=True)):
        type_ = plain(DType.F32, 4)
        program.sources[name] = (type_, Initializer("uniform", (("bound", draw(floats)),)))
        program.parameters[name] = Parameter(name, type_, Source(name, type_), origin=draw(origins))
    program.stream = Section(draw(st.dictionaries(names, settings_values, max_size=3)))
    for name in draw(st.lists(names, min_size=1, max_size=2, unique=True)):
        program.functions[name] = draw(functions(program, name))
    return program


@st.composite
def functions(draw: Any, program: Program, name: str) -> Function:
    inputs = [Value(FRAMES, n) for n in draw(st.lists(names, min_size=1, max_size=3, unique=True))]
    value = Value(STATE, draw(texts))
    builder, made = Builder(program), list(inputs)
    for _ in range(draw(st.integers(0, 6))):
        builder.origin = draw(origins)
        made.append(draw(step(builder, made)))
    states = [State(draw(names), value, value)] if draw(st.booleans()) else []
    results = [(n, draw(st.sampled_from(made))) for n in draw(st.lists(names, min_size=1, max_size=2, unique=True))]
    domains = draw(st.dictionaries(st.sampled_from([value.name for value in inputs]), domains_of_numbers, max_size=2))
    return Function(name, inputs, builder.ops, results, states, draw(origins), domains=domains)


@st.composite
def step(draw: Any, builder: Builder, made: list[Value]) -> Value:
    """One more value of the type FRAMES."""
    x = draw(st.sampled_from(made))
    kind = draw(st.sampled_from(["scale", "add", "split", "constant", "parameter"]))
    if kind == "scale":
        return builder.op("scale", x, factor=draw(floats), offset=draw(st.integers(-3, 3)))
    if kind == "add":
        return builder.op("add", x, draw(st.sampled_from(made)))
    if kind == "split":
        return builder.op("concat", *reversed(builder.emit("split", x, parts=2)))
    if kind == "parameter" and builder.program.parameters:
        return builder.op("mul", x, builder.parameter(draw(st.sampled_from(sorted(builder.program.parameters)))))
    shape = draw(st.sampled_from([(), (4,), (1, 1, 4)]))
    array = np.array(draw(st.lists(floats, min_size=4, max_size=4)))[: int(np.prod(shape))].reshape(shape)
    with np.errstate(over="ignore", invalid="ignore"):
        array = array.astype(draw(st.sampled_from(ARRAY_TYPES)))
    return builder.op("add", x, builder.constant(array, dtype=DType.F32))


@settings(max_examples=40, deadline=None)
@given(programs())
def test_a_program_survives_its_text(program: Program) -> None:
    text = print_program(program, locations=True)
    back = parse_program(text)
    assert print_program(back, locations=True) == text
    assert equal(program, back)
    verify(back)
    short = print_program(program)
    assert print_program(parse_program(short)) == short
