"""Every op as ONNX nodes: what onnxruntime computes is what the op's numpy reference says, with extents left open."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.ir.declared import registry
from mctc.ir.op import Array
from mctc.ir.program import Function, Program
from mctc.ir.types import DType
from mctc.passes.channels_first import ChannelsFirst
from mctc.rewrite.base import Context
from mctc.rewrite.rewriter import RewriteError
from mctc.targets.onnx.errors import OnnxError
from mctc.targets.onnx.rules import RULES

from .executed import assert_executes, model_of, program_of

SIZES = {"B": 2, "T": 8, "U": 3}
X, LAID = "f32[batch B, time T, channel 8]", "f32[batch B, channel 8, unit 1, time T]"


def deployed() -> set[str]:
    """The ops of mctc that a deployed program may have."""
    own = (op for op in registry().values() if op.__module__.startswith("mctc.ir.ops."))
    return {op.name for op in own if not op.outside_training}


def catalogued() -> Iterator[Any]:
    """The example of every op."""
    for name in sorted(deployed()):
        inputs, lines = registry()[name].example.of(name)
        for i, line in enumerate(lines):
            yield pytest.param(inputs, line, id=f"{name}-{i}")


def line_program(inputs: dict[str, str], *lines: str) -> Program:
    """One op after the other; all results of the last one are returned, r0, r1, ..."""
    *before, last = [part for line in lines for part in line.splitlines()]
    last = last if last.startswith("%") else f"%0 = {last}"
    results = last.partition(" = ")[0].split(", ")
    returned = ", ".join(f"r{i} = {name}" for i, name in enumerate(results))
    args = ", ".join(f"%{name}: {type_}" for name, type_ in inputs.items())
    return program_of(f"function @f({args}) {{ {' '.join([*before, last])} return {returned} }}")


def values(function: Function, sizes: dict[str, int] = SIZES) -> dict[str, Array]:
    """Positive numbers, so that every op is finite; ids; ones and zeros for what is called a mask."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Array] = {}
    for value in function.inputs:
        type_ = value.type.substitute(sizes)
        if type_.dtype is DType.I32:
            arrays[value.name] = rng.integers(0, 100, type_.shape)
        elif value.name == "mask":
            arrays[value.name] = rng.integers(0, 2, type_.shape).astype(np.float64)
        else:
            arrays[value.name] = np.abs(rng.normal(size=type_.shape)) + 0.1
    return arrays


@pytest.mark.parametrize(("inputs", "line"), list(catalogued()))
def test_an_op_computes_what_its_reference_does(inputs: dict[str, str], line: str, tmp_path: Path) -> None:
    program, tried = line_program(inputs, line), 0
    for make in (lambda p: p, lambda p: ChannelsFirst().run(p, Context())):
        try:
            made = make(program)
        except RewriteError:
            continue
        assert_executes(made, tmp_path, values(made.functions["f"]))
        tried += 1
    assert tried


def test_every_op_of_the_registry_has_a_rule() -> None:
    assert set(RULES) == deployed() - {"scan_state"}  # the rule of scan writes it


MEETINGS = [
    ("f32[batch B, time T, channel 8]", "f32[batch B, channel 8, time T]"),
    ("f32[batch B, time T, channel 8]", "f32[batch B, label U, channel 8]"),
    ("f32[time T, channel 8]", "f32[channel 8, batch B]"),
    ("f32[batch B, channel 8, unit 1, time T]", "f32[channel 8]"),
    ("f32[batch B, channel 8, unit 1, time T]", "f32[batch B, channel 8, label U, unit 1]"),
    ("f32[batch B, time T, channel 8]", "f32[8]"),
    ("f32[batch B, time T, channel 8]", "f32[]"),
]


@pytest.mark.parametrize(("left", "right"), MEETINGS)
def test_operands_meet_by_role(left: str, right: str, tmp_path: Path) -> None:
    for line in ("sub(%x, %y)", "sub(%y, %x)"):
        program = line_program({"x": left, "y": right}, line)
        assert_executes(program, tmp_path, values(program.functions["f"]))


ATTENTIONS = [
    "heads = 2",
    "heads = 2, left = 2",
    "heads = 2, right = 0",
    "heads = 2, within = 3",
    "heads = 2, left = 1, within = 4",
    "heads = 2, within = 3, before = 4",
    "heads = 2, left = 1, right = 2",
    "heads = 4, kv_heads = 2, left = 3, right = 0",
]


@pytest.mark.parametrize("how", ATTENTIONS)
@pytest.mark.parametrize("masked", [False, True])
def test_attention_sees_its_band_of_the_keys_that_exist(how: str, masked: bool, tmp_path: Path) -> None:
    keys = "f32[batch B, time T, channel 4]" if "kv_heads" in how else X
    inputs = {"x": X, "k": keys, "v": keys} | ({"mask": "f32[time T]"} if masked else {})
    program = line_program(inputs, f"attention(%x, %k, %v, {'%mask, ' if masked else ''}{how})")
    for frames in (1, 8):
        assert_executes(program, tmp_path, values(program.functions["f"], {"B": 2, "T": frames}))


def test_attention_over_another_sequence_and_with_its_context_given(tmp_path: Path) -> None:
    inputs = {"x": X, "k": "f32[batch B, label U, channel 8]"}
    program = line_program(inputs, "attention(%x, %k, %k, heads = 2)")
    assert_executes(program, tmp_path, values(program.functions["f"]))
    inputs = {
        "x": "f32[batch 1, channel 8, unit 1, time 4]",
        "k": "f32[batch 1, channel 8, unit 1, time 7]",
        "mask": "f32[time 7]",
    }
    program = line_program(inputs, "attention(%x, %k, %k, %mask, heads = 2, left = 2, right = 1, given = true)")
    assert_executes(program, tmp_path, values(program.functions["f"]))


@pytest.mark.parametrize("type_", [X, LAID])
@pytest.mark.parametrize("how", ["", ", cyclic = true"])
def test_positions_are_rows_of_a_table(type_: str, how: str, tmp_path: Path) -> None:
    program = line_program({"x": type_, "t": "f32[5, 8]"}, f"positional_embedding(%x, %t{how})")
    for frames in (3, 11 if how else 5):
        assert_executes(program, tmp_path, values(program.functions["f"], {"B": 2, "T": frames}))


RELATIVE = {"p": "f32[8, 6]", "u": "f32[8]", "w": "f32[8]"}


@pytest.mark.parametrize(
    "how", ["heads = 2", "heads = 4, left = 1, right = 2, symmetric = true", "heads = 2, right = 0, scale = 0.2"]
)
@pytest.mark.parametrize("masked", [False, True])
def test_relative_attention_sees_its_band_of_the_keys_that_exist(how: str, masked: bool, tmp_path: Path) -> None:
    inputs = {"x": X, "k": X, "v": X} | RELATIVE | ({"mask": "f32[time T]"} if masked else {})
    line = f"relative_attention(%x, %k, %v, %p, %u, %w, {'%mask, ' if masked else ''}{how})"
    program = line_program(inputs, line)
    for frames in (1, 8):
        assert_executes(program, tmp_path, values(program.functions["f"], {"B": 2, "T": frames}))


def test_relative_attention_with_its_context_given(tmp_path: Path) -> None:
    row = "f32[batch 1, channel 8, unit 1, time {}]"
    inputs = {"x": row.format(4), "k": row.format(7)} | RELATIVE | {"mask": "f32[time 7]"}
    line = "relative_attention(%x, %k, %k, %p, %u, %w, %mask, heads = 2, left = 2, right = 1, given = true)"
    program = line_program(inputs, line)
    assert_executes(program, tmp_path, values(program.functions["f"]))


RECURRENT = {
    "lstm": ("wi: f32[16, 8]; wh: f32[16, 4]; b: f32[16]", "%0, %1, %2 = lstm(%x, %wi, %wh, %b, %h, %c, {mask})"),
    "lstm without": ("wi: f32[16, 8]; wh: f32[16, 4]", "%0, %1, %2 = lstm(%x, %wi, %wh, none, none, none, {mask})"),
    "gru": ("wi: f32[12, 8]; wh: f32[12, 4]; b: f32[12]; d: f32[12]", "%0, %1 = gru(%x, %wi, %wh, %b, %d, %h, {mask})"),
    "gru one bias": (
        "wi: f32[12, 8]; wh: f32[12, 4]; d: f32[12]",
        "%0, %1 = gru(%x, %wi, %wh, none, %d, none, {mask})",
    ),
    "selective_scan": (
        "A: f32[8, 4]",
        "%0, %1 = selective_scan(%x, %x, %A, %B, %B, none, %s, {mask})",
    ),
    "ssd": ("A: f32[2]; d: f32[2]", "%0, %1 = ssd(%x, %t, %A, %B, %B, %d, %s, {mask})"),
    "ssd without": ("A: f32[2]", "%0, %1 = ssd(%x, %t, %A, %x, %x, none, none, {mask}, groups = 2)"),
    "ssd of each frame": ("", "%n = neg(%t) %0, %1 = ssd(%x, %t, %n, %B, %B, none, %s, {mask}, %t)"),
    "ssd of two writes": ("", "%n = neg(%t) %0, %1 = ssd(%x, %B, %n, %x, %B, none, none, {mask}, groups = 2)"),
    "ssd of two writes and reads": ("d: f32[2]", "%n = neg(%t) %0, %1 = ssd(%x, %B, %n, %B, %B, %d, %z, {mask}, %B)"),
    "selective_scan with a skip": (
        "A: f32[8, 4]; d: f32[8]",
        "%n = neg(%A) %0, %1 = selective_scan(%x, %x, %n, %B, %B, %d, %s, {mask})",
    ),
    "selective_scan without": ("A: f32[8, 4]", "%0, %1 = selective_scan(%x, %x, %A, %B, %B, none, none, {mask})"),
}
STATES = {
    "plain": {
        "h": "f32[batch B, channel 4]",
        "c": "f32[batch B, channel 4]",
        "s": "f32[batch B, channel 8, feature 4]",
        "B": "f32[batch B, time T, channel 4]",
        "t": "f32[batch B, time T, channel 2]",
        "z": "f32[batch B, channel 4, feature 2]",
    },
    "laid out": {
        "h": "f32[batch B, channel 4, unit 1, unit 1]",
        "c": "f32[batch B, channel 4, unit 1, unit 1]",
        "s": "f32[batch B, channel 8, unit 1, feature 4]",
        "B": "f32[batch B, channel 4, unit 1, time T]",
        "t": "f32[batch B, channel 2, unit 1, time T]",
        "z": "f32[batch B, channel 4, unit 1, feature 2]",
    },
}


@pytest.mark.parametrize("case", RECURRENT)
@pytest.mark.parametrize("layout", STATES)
@pytest.mark.parametrize("masked", [False, True])
def test_states_are_carried_and_frames_that_do_not_exist_leave_them(
    case: str, layout: str, masked: bool, tmp_path: Path
) -> None:
    weights, line = RECURRENT[case]
    line = line.format(mask="%mask" if masked else "none")
    inputs = {"x": X if layout == "plain" else LAID, "mask": "f32[time T]"}
    inputs |= STATES[layout] | dict(each.strip().split(": ") for each in weights.split(";") if each)
    used = {name: type_ for name, type_ in inputs.items() if name in ("x", "mask") or re.search(rf"%{name}\b", line)}
    before, op = line.partition("%0")[::2]  # a scan whose A is positive grows, and drowns what is added to it
    program = line_program(used, *filter(None, [before]), f"%0{op}")
    assert_executes(program, tmp_path, values(program.functions["f"]))


SHAPES = [
    (X, "reverse(%x, axis = time)"),
    (X, "slice(%x, axis = time, stride = 2)"),
    (X, "slice(%x, axis = channel, begin = 1, end = 7, stride = 3)"),
    (X, "pad(%x, axis = time, before = 2, after = 1, value = -3.0)"),
    (X, "reshape(%x, axes = [batch B, time T/4, channel 32])"),
    (X, "reshape(%x, axes = [batch B, time 2*T, channel 4])"),
    (X, "reshape(%x, axes = [time B*T, channel 8])"),
    (X, "split_channels(%x, groups = 4)"),
    (LAID, "split_channels(%x, groups = 4)"),
    ("f32[batch B, channel 2, feature 4, time T]", "merge_channels(%x)"),
    ("f32[batch B, time T, feature 4, channel 2]", "merge_channels(%x)"),
    ("f32[batch B, feature 4, time T, channel 2]", "merge_channels(%x)"),
    (X, "%0, %1 = split(%x, sizes = [3, 5])"),
    (X, "%0, %1 = split(%x, parts = 2, axis = time)"),
    (X, "concat(%x, %x, axis = time)"),
    ("f32[batch B, label U, time T, channel 8]", "layer_norm(%x)"),
    ("f32[channel 8]", "batch_norm(%x, %x, %x)"),
]


@pytest.mark.parametrize(("type_", "line"), SHAPES)
def test_entries_go_where_the_reference_puts_them(type_: str, line: str, tmp_path: Path) -> None:
    program = line_program({"x": type_}, line)
    assert_executes(program, tmp_path, values(program.functions["f"]))


def test_an_extent_is_solved_from_the_inputs_that_have_a_part_of_it(tmp_path: Path) -> None:
    """Only T/4 is to be had, and two open extents stand side by side: the shape is computed when it runs."""
    inputs = {"x": "f32[batch B, time T/4, channel 8]"}
    lines = ("%0 = transpose(%x, order = [2, 0, 1])", "%1 = reshape(%0, axes = [plain 2, plain 4*B, plain T/4])")
    program = line_program(inputs, *lines)
    assert_executes(program, tmp_path, values(program.functions["f"]))
    program = line_program(inputs, "reshape(%x, axes = [plain B, plain T, plain 2])")
    assert_executes(program, tmp_path, values(program.functions["f"]))
    program = line_program(inputs, lines[0], "%1 = reshape(%0, axes = [plain T, plain 2*B])")
    assert_executes(program, tmp_path, values(program.functions["f"]))


def test_results_that_are_inputs_constants_or_one_another_have_names_of_their_own(tmp_path: Path) -> None:
    program = program_of(
        f"function @f(%x: {X}) {{ %0 = exp(%x) %1 = parameter @w: f32[8] return a = %0, b = %0, c = %x, d = %1 }}"
    )
    assert_executes(program, tmp_path, values(program.functions["f"]))


def test_an_op_without_a_form_is_named_with_its_place(tmp_path: Path) -> None:
    program = line_program({"x": X}, 'exp(%x) at "talk.mct":3:5-3:9 in encoder.norm')
    rules = dict(RULES)
    del rules["exp"]
    from mctc.targets.onnx.graph import GraphEmitter
    from mctc.weights import Weights

    with pytest.raises(OnnxError, match=r"exp of encoder\.norm \(talk\.mct:3:5\) has no ONNX form"):
        GraphEmitter(program, program.functions["f"], Weights({})).run(rules)
    assert model_of(program, program.functions["f"], tmp_path).exists()
