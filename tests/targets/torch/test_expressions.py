"""Every op's torch text against its numpy reference, whole and in steps, plain and laid out."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mctc.evaluate.reference import evaluate
from mctc.ir.build import Builder
from mctc.ir.declared import registry
from mctc.ir.ops.loop import Looped
from mctc.ir.program import Function, Initializer, Program, Value
from mctc.ir.text import parse_program
from mctc.ir.types import DType, Role
from mctc.passes.channels_first import ChannelsFirst
from mctc.plugins import registry as plugins
from mctc.rewrite.base import Context
from mctc.rewrite.pipeline import run_stage
from mctc.rewrite.rewriter import RewriteError
from mctc.streaming.derive import derive_program
from mctc.targets.torch.associations_op import NAME
from mctc.targets.torch.expressions import RULES, Expression, UnsupportedError, expression
from mctc.weights import Weights

from .written import Written, imported

PROGRAMS = Path(__file__).parents[2] / "streaming" / "programs.py"
_spec = importlib.util.spec_from_file_location("random_programs", PROGRAMS)
assert _spec is not None
assert _spec.loader is not None
programs = importlib.util.module_from_spec(_spec)
sys.modules["random_programs"] = programs
_spec.loader.exec_module(programs)

COUNT = int(os.environ.get("MCTC_EXAMPLES", "25"))
many = settings(max_examples=COUNT, deadline=None, suppress_health_check=list(HealthCheck))
ALONE = tuple(each for each in programs.GENERATORS if each is not programs.looped)  # whose ops are one text each
SIZES = {"B": 2, "T": 8, "U": 3}


def assert_close(got: dict[str, np.ndarray], want: dict[str, np.ndarray]) -> None:
    assert got.keys() == want.keys()
    for name, expected in want.items():
        assert got[name].shape == expected.shape, name
        np.testing.assert_allclose(got[name], expected, rtol=1e-6, atol=1e-8, err_msg=name)


def catalogued() -> Iterator[Any]:
    """The example of every op."""
    for name, op in registry().items():
        if issubclass(op, Looped):  # written as a loop around expressions
            continue
        inputs, lines = op.example.of(name)
        for i, line in enumerate(lines):
            yield pytest.param(inputs, line, id=f"{name}-{i}")


def program_of(inputs: dict[str, str], line: str) -> Program:
    line = line if line.startswith("%") else f"%0 = {line}"
    results = line.partition(" = ")[0].split(", ")
    returned = ", ".join(f"r{i} = {name}" for i, name in enumerate(results))
    args = ", ".join(f"%{name}: {type_}" for name, type_ in inputs.items())
    return parse_program(f"function @f({args}) {{ {line} return {returned} }}")


def values(function: Function) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    types = {value.name: value.type.substitute(SIZES) for value in function.inputs}
    return {
        name: rng.integers(0, 100, t.shape) if t.dtype is DType.I32 else np.abs(rng.normal(size=t.shape)) + 0.1
        for name, t in types.items()
    }


def weight(name: str) -> np.ndarray:
    """The one parameter of the catalogue's example."""
    return np.linspace(-1, 1, 8)


def laid_out(program: Program) -> Program:
    return ChannelsFirst().run(program, Context())


@pytest.mark.parametrize(("inputs", "line"), list(catalogued()))
def test_an_op_computes_what_its_reference_does(inputs: dict[str, str], line: str) -> None:
    program = program_of(inputs, line)
    tried = 0
    for make in (lambda p: p, laid_out):
        try:
            function = make(program).functions["f"]
            written = Written(function)
        except (RewriteError, UnsupportedError):
            continue
        given = values(function)
        want, _ = evaluate(function, given, weight)
        assert_close(written.run(given, weight)[0], want)
        tried += 1
    assert tried, "neither the plain nor the laid-out form has a text"


def test_every_op_of_the_registry_has_a_rule() -> None:
    own = {name: op for name, op in registry().items() if op.__module__.startswith("mctc.ir.ops.")}
    assert set(RULES) - {NAME} == {name for name, op in own.items() if not issubclass(op, Looped)}


def prepared(case: Any) -> tuple[Program, Callable[[str], np.ndarray]]:
    """A random program as the emitter finds it, after the common passes, and the values of its parameters."""
    normal = Initializer("normal", (("std", 0.6),))
    sources = {
        name: (type_, Initializer("ones") if (case.weights[name] > 0).all() else normal)  # variances are positive
        for name, (type_, _) in case.program.sources.items()
    }
    common = run_stage(replace(case.program, sources=sources), "common", plugins().passes().values(), Context())
    program, weights = common[0], Weights(sources)
    return program, lambda name: weights.exact(program.parameters[name])


def some(value: Value) -> np.ndarray:
    """Numbers; of frames that may exist (inputs and states named valid), ones and zeros."""
    rng = np.random.default_rng(len(value.name))
    shape = value.type.shape
    return rng.integers(0, 2, shape).astype(float) if "valid" in value.name else rng.normal(size=shape)


def agree(function: Function, inputs: dict[str, np.ndarray], parameter: Any, nested: bool) -> None:
    want, _ = evaluate(function, inputs, parameter)
    assert_close(Written(function, nested).run(inputs, parameter)[0], want)


@many
@given(programs.cases(generators=ALONE, most=12), st.booleans())
def test_a_random_program_over_time_computes_what_its_references_do(case: Any, nested: bool) -> None:
    program, parameter = prepared(case)
    inputs = replace(case, program=program).inputs(2 * case.multiple)
    agree(program.functions["f"], inputs, parameter, nested)


@many
@given(programs.cases(Role.LABEL, ALONE, most=12), st.booleans())
def test_a_random_program_over_labels_computes_what_its_references_do(case: Any, nested: bool) -> None:
    program, parameter = prepared(case)
    agree(program.functions["f"], replace(case, program=program).inputs(3), parameter, nested)


@many
@given(programs.cases(generators=ALONE, most=12), st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_a_step_written_at_one_chunk_length_works_at_every_other(case: Any, one: int, other: int, nested: bool) -> None:
    program, parameter = prepared(case)
    written, wanted = (derive_program(program, n * case.multiple)[0].functions["f"] for n in (one, other))
    inputs = {v.name: some(v) for v in wanted.inputs}
    state = {s.name: some(s.value) for s in wanted.states}
    want = evaluate(wanted, inputs, parameter, state)
    got = Written(written, nested).run(inputs, parameter, state)
    assert_close(got[0], want[0])
    assert_close(got[1], want[1])


def test_a_reshape_of_one_frame_into_two_holds_no_length_of_a_chunk() -> None:
    """One frame of two features and two frames of one unit have the same extents, and no more than these in common."""
    line = "%0 = reshape(%x, axes = [batch 1, channel 2, unit 1, time 2])"
    function = program_of({"x": "f32[batch 1, channel 2, time 1, feature 2]"}, line).functions["f"]
    for frames in (1, 3):
        x = np.arange(4.0 * frames).reshape(1, 2, frames, 2)
        got = Written(function).run({"x": x}, weight)[0]
        np.testing.assert_array_equal(got["r0"], x.reshape(1, 2, 1, 2 * frames))


TWO = "%x: f32[batch B, time T, channel 8], %y: f32[batch B, label U, channel 8], %w: f32[4, 8], %v: f32[8]"
TWO += ", %i: f32[16, 8], %h: f32[16, 4], %g: f32[12, 8], %k: f32[12, 4], %s: f32[4, 8, 1]"


@pytest.mark.parametrize(
    ("lines", "results"),
    [
        ("%a, %b, %c = lstm(%y, %i, %h) %d = add(%x, %y)", "abcd"),
        ("%a, %b = gru(%y, %g, %k) %d = add(%x, %y)", "abd"),
        ("%d = add(%x, %y) %a, %b, %c = lstm(%d, %i, %h)", "abc"),
        ("%d = sub(%y, %x) %a, %b = gru(%d, %g, %k)", "ab"),
        ("%a = attention(%y, %x, %x, heads = 2) %d = add(%x, %y)", "ad"),
        ("%a = attention(%x, %y, %y, heads = 4)", "a"),
        ("%a = attention(%x, %x, %x, heads = 2, within = 3) %b = attention(%y, %y, %y, heads = 2, within = 2)", "ab"),
        ("%a = attention(%x, %x, %x, heads = 2, right = 0, within = 3)", "a"),
        ("%a = attention(%x, %x, %x, heads = 2, within = 3, before = 2)", "a"),
        ("%p = positional_embedding(%x, %w, cyclic = true) %a = mul(%x, %p)", "a"),
        ("%a = attention(%y, %y, %y, heads = 2, right = 0) %d = add(%x, %y)", "ad"),
        ("%d = add(%x, %y) %a = attention(%d, %d, %d, heads = 2, left = 1, right = 0)", "a"),
        (
            "%d = add(%x, %y) %a = attention(%d, %x, %x, heads = 2) %b = attention(%d, %x, %x, heads = 4, left = 1)",
            "ab",
        ),
        ("%d = add(%x, %y) %e = split_channels(%d, groups = 8) %a = linear(%e, %w)", "a"),
        ("%d = add(%x, %y) %a = reduce_mean(%d, axis = label) %b = softmax(%d, axis = label)", "ab"),
        ("%d = add(%x, %y) %a = reduce_max(%d, axis = time) %b = layer_norm(%d, %v)", "ab"),
        ("%a = conv1d(%y, %s) %d = add(%x, %y)", "ad"),
        ("%a = mul(%x, %v) %b = sub(%v, %x) %c = maximum(%b, %x)", "ac"),
        ("%a = reverse(%x) %b, %c, %d = lstm(%a, %i, %h) %e = reverse(%b)", "e"),
        ("%a = reshape(%x, axes = [batch B, time T/2, channel 16])", "a"),
        ("%a = cast(%x, dtype = i32) %b = cast(%a, dtype = f32) %c = cast(%x, dtype = bool)", "abc"),
    ],
)
def test_a_component_of_time_and_labels_computes_what_its_references_do(lines: str, results: str) -> None:
    returned = ", ".join(f"{name} = %{name}" for name in results)
    program = laid_out(parse_program(f"function @f({TWO}) {{ {lines} return {returned} }}"))
    agree(program.functions["f"], values(program.functions["f"]), weight, nested=False)


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.float32(0.1), "torch.tensor(0.1)"),
        (np.array([[1.0, -2.5], [0.1, 1e-20]], np.float32), "torch.tensor([[1.0, -2.5], [0.1, 1e-20]])"),
        (np.full((2, 3), 0.5), "torch.full((2, 3), 0.5)"),
        (np.array([1, 2], np.int32), "torch.tensor([1, 2], dtype=torch.int32)"),
        (np.array([True, False]), "torch.tensor([True, False], dtype=torch.bool)"),
        (np.array([np.inf, 1.0, -np.inf]), 'torch.tensor([float("inf"), 1.0, float("-inf")])'),
        (np.arange(100.0), None),
        (np.arange(100) % 7, None),
        (np.zeros((0, 3)), None),
    ],
)
def test_a_constant_is_written_to_the_bit(array: np.ndarray, text: str | None) -> None:
    builder = Builder(Program("p"))
    op = builder.constant(array).owner
    assert op is not None
    made = expression(op, [])
    assert text is None or made.text == text
    got = eval(made.text, imported(made.imports)).numpy()
    np.testing.assert_array_equal(got, array.astype(got.dtype))
    assert got.shape == array.shape
    assert got.dtype in (np.float32, np.int32, np.bool_)


def test_a_parameter_is_an_attribute_of_its_block() -> None:
    op = (
        parse_program("function @f() { %0 = parameter @encoder.layers.0.mamba.A_log: f32[8, 4] }").functions["f"].ops[0]
    )
    assert expression(op, []).text == "self.A_log"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("scale(%x, factor = 2.0)", "2 * x"),
        ("scale(%x, factor = -1.0)", "-x"),
        ("scale(%x, factor = -1.0, offset = 1.0)", "1 - x"),
        ("scale(%x, factor = 0.5, offset = -3.0)", "0.5 * x - 3"),
        ("mul(%x, %x)", "x * x"),
        ("split(%x, sizes = [2, 6])", "x.split([2, 6], dim=1)"),
        ("reshape(%x, axes = [batch B, channel 8, time T, unit 1])", "x.squeeze(2).unsqueeze(3)"),
        ("reshape(%x, axes = [batch B, feature 2, channel 4, unit 1, time T])", "x.unflatten(1, (2, 4))"),
        ("slice(%x, axis = channel, begin = 2, end = 4)", "x[:, 2:4]"),
        ("slice(%x, axis = time, stride = 2)", "x[..., ::2]"),
        ("conv2d(%x, %w)", "F.conv2d(x, w)"),
        ("reverse(%x)", "x.flip(3)"),
        ("positional_embedding(%x, %t)", "t[:x.shape[3]].mT[None, :, None, :]"),
        (
            "positional_embedding(%x, %c, cyclic = true)",
            "c.repeat(-(-x.shape[3] // 5), 1)[:x.shape[3]].mT[None, :, None, :]",
        ),
        ("attention(%x, %x, %x, heads = 2, left = 16, right = 0)", "attention(x, x, x, heads=2, left=16, right=0)"),
        (
            "attention(%x, %x, %x, heads = 2, within = 4, before = 9)",
            "attention(x, x, x, heads=2, within=4, before=9)",
        ),
        ("greater(%x, %x)", "torch.sign(F.relu(x - x))"),
        ("equal(%x, %x)", "1 - torch.sign(x - x).abs()"),
        (
            "relative_attention(%x, %x, %x, %p, %u, %u, heads = 2, scale = 0.5, symmetric = true)",
            "relative_attention(x, x, x, p, u, u, heads=2, scale=0.5, symmetric=True)",
        ),
    ],
)
def test_an_op_reads_as_one_would_write_it(line: str, text: str) -> None:
    inputs = (
        "%x: f32[batch B, channel 8, unit 1, time T], %w: f32[4, 8, 1, 1], %t: f32[100, 8], %p: f32[8, 6], %u: f32[8]"
        ", %c: f32[5, 8]"
    )
    results = "%0, %1" if line.startswith("split") else "%0"
    (op,) = parse_program(f"function @f({inputs}) {{ {results} = {line} }}").functions["f"].ops
    assert expression(op, [None if value is None else value.name for value in op.operands]).text == text


def test_axes_of_one_that_meet_by_chance_are_told_apart() -> None:
    """At one frame a chunk, (unit, time) has the shape of (time, unit); at two it has not."""
    for frames in (1, 2):
        line = f"%0 = reshape(%x, axes = [batch 1, channel 8, time {frames}, unit 1])"
        text = f"function @f(%x: f32[batch 1, channel 8, unit 1, time {frames}]) {{ {line} }}"
        (op,) = parse_program(text).functions["f"].ops
        assert expression(op, ["x"]).text == "x.squeeze(2).unsqueeze(3)"


@pytest.mark.parametrize(
    ("left", "right", "text"),
    [
        ("batch B, time T, channel 8", "batch B, label U, channel 8", "x[:, :, None, :] - y[:, None, :, :]"),
        ("batch B, channel 8", "batch B, time T, channel 8", "x[:, None, :] - y"),
        ("batch B, time T, channel 8", "batch B, channel 8, time T", "x - y.permute(0, 2, 1)"),
        ("batch B, channel 8, unit 1, time T", "time T", "x - y"),
        ("batch B, time T, label U", "label U, batch B", "x - y.permute(1, 0)[:, None, :]"),
        ("batch B, time T, channel 8", "8", "x - y"),
    ],
)
def test_axes_meet_by_role(left: str, right: str, text: str) -> None:
    line = f"function @f(%x: f32[{left}], %y: f32[{right}]) {{ %0 = sub(%x, %y) return r = %0 }}"
    function = parse_program(line).functions["f"]
    assert expression(function.ops[0], ["x", "y"]).text == text
    agree(function, values(function), weight, nested=False)


def test_operands_nest_without_superfluous_parentheses() -> None:
    lines = (
        "%0 = add(%x, %y) %1 = mul(%0, %x) %2 = sub(%1, %0) %3 = neg(%2) %4 = exp(%3) %5 = div(%4, %1) return r = %5"
    )
    args = "%x: f32[batch B, channel 8], %y: f32[batch B, channel 8]"
    text: dict[Value, Expression | str] = {}
    function = parse_program(f"function @f({args}) {{ {lines} }}").functions["f"]
    text.update({value: value.name for value in function.inputs})
    for op in function.ops:
        text[op.result] = expression(op, [text[value] for value in op.operands if value is not None])
    assert str(text[function.ops[-1].result]) == "torch.exp(-((x + y) * x - (x + y))) / ((x + y) * x)"


@pytest.mark.parametrize(
    ("begin", "end", "text"),
    [(8, None, "x[..., -3:]"), (0, 8, "x[..., :-3]"), (2, 10, "x[..., 2:-1]"), (2, 11, "x[..., 2:]"), (0, 11, "x")],
)
def test_a_slice_of_a_chunk_is_counted_from_the_end_that_moves(begin: int, end: int | None, text: str) -> None:
    stated = f"begin = {begin}" + ("" if end is None else f", end = {end}")
    line = f"function @f(%x: f32[batch 1, channel 8, unit 1, time 11]) {{ %0 = slice(%x, axis = time, {stated}) }}"
    (op,) = parse_program(line).functions["f"].ops
    assert expression(op, ["x"]).text == text


@pytest.mark.parametrize(
    ("args", "line", "complaint"),
    [
        (
            "%x: f32[batch B, time T, channel 8], %w: f32[16, 8], %h: f32[16, 4]",
            "%0, %1, %2 = lstm(%x, %w, %h)",
            "laid out",
        ),
        ("%x: f32[batch B, time T, channel 8]", "%0 = attention(%x, %x, %x, heads = 2)", "laid out"),
        (
            "%x: f32[batch B, time T, channel 8]",
            "%0 = reshape(%x, axes = [time T, batch B, channel 8])",
            "in two steps",
        ),
    ],
)
def test_what_has_no_text_is_refused_with_a_way_out(args: str, line: str, complaint: str) -> None:
    (op,) = parse_program(f"function @f({args}) {{ {line} }}").functions["f"].ops
    with pytest.raises(UnsupportedError, match=complaint):
        expression(op, [None if value is None else value.name for value in op.operands])
