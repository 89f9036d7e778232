"""Recurrences in the language: what a `scan` becomes, and what it may not hold."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.evaluate.reference import evaluate
from mctc.language.format import format_source

from .conftest import Check, Elaborate, component

STATE = "scan h: f32[B, T, 8] "


def test_a_state_is_that_of_the_frame_before(elaborate: Elaborate) -> None:
    program = elaborate(component(STATE + "{ was = h; h = 0.5 * h + x }", "return was + 2 * h"))
    x = np.random.default_rng(0).normal(size=(2, 5, 8))
    expected, h = [], np.zeros((2, 8))
    for t in range(5):
        was, h = h, 0.5 * h + x[:, t]
        expected.append(was + 2 * h)
    found, _ = evaluate(program.functions["c"], {"x": x}, {}.__getitem__)
    np.testing.assert_allclose(found["output"], np.stack(expected, 1), rtol=1e-12)


def test_a_state_starts_from_a_number_or_a_tensor(elaborate: Elaborate) -> None:
    lines = ("param start: f32[8] = 1", "scan a: f32[B, T, 8] = 2, b: f32[B, T, 8] = start { a = x + a; b = a * b }")
    program = elaborate(component(*lines, "return b"))
    x, start = np.random.default_rng(0).normal(size=(1, 4, 8)), np.arange(8.0)
    found, _ = evaluate(program.functions["c"], {"x": x}, {"c.start": start}.__getitem__)
    a = 2 + np.cumsum(x, 1)
    np.testing.assert_allclose(found["output"], start * np.cumprod(a, 1), rtol=1e-12)


def test_scans_follow_one_another_and_take_what_the_first_made(elaborate: Elaborate) -> None:
    lines = (STATE + "{ h = maximum(h, x) }", "y = h", STATE + "{ h = minimum(h, y) }")
    program = elaborate(component(*lines, "return h"))
    assert [op.name for op in program.functions["c"].ops].count("scan") == 2


def test_blocks_in_a_scan_have_their_place_in_the_path(elaborate: Elaborate) -> None:
    program = elaborate(component(STATE + "{ h = tanh(linear(x, 8) as into + linear(h, 8) as back) }", "return h"))
    assert {name.rpartition(".")[0] for name in program.parameters} == {"c.into", "c.back"}


def test_a_scan_runs_over_labels_too(elaborate: Elaborate) -> None:
    text = component(
        "scan h: f32[B, U, 8] { h = 0.5 * h + x }", "return h", inputs="x: f32[B, U, 8]", result="f32[B, U, 8]"
    )
    program = elaborate(text.replace("dim T: time @ 100 Hz", "dim U: label"))
    assert program.functions["c"].results[0][1].type.sequence_role == "label"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("scan h: f32[B, 8] { h = x }", "MCT0117"),
        (STATE + "{ h = 3 }", "MCT0117"),
        (STATE + "{ h = missing }", "MCT0050"),
        (STATE + "{ h = concat(h, x) }", "MCT0117"),
        (STATE + '= "a" { h = h + x }', "MCT0117"),
        ("scan h: f32[B, T/2, 8] { h = h + x }", "MCT0103"),
        (STATE + "{ h = x + conv1d(h, 8, 3) }", "MCT0118"),
        (STATE + '{ h = x - reduce_mean(h, axis = "time") }', "MCT0118"),
        (STATE + "{ h = lstm(h, 8) }", "MCT0118"),
        (STATE + "{ scan g: f32[B, T, 8] { g = g + h }; h = g }", "MCT0118"),
        (STATE + "{ return h }", "MCT0102"),
        ("scan T: f32[B, T, 8] { T = x }", "MCT0109"),
        (STATE + "= x { h = h + x }", "MCT0117"),
        (STATE + ", h: f32[B, T, 1] { h = h + x }", "MCT0117"),
        ("scan { x = x + 1 }", "MCT0045"),
    ],
)
def test_what_a_scan_can_not_be(line: str, code: str, check: Check) -> None:
    assert code in [problem.code for problem in check(component(line, "return x"))]


def test_a_state_may_start_from_a_mean_over_the_utterance(check: Check) -> None:
    assert not check(component(STATE + '= reduce_mean(x, "time") { h = 0.5 * h + x }', "return h"))


@pytest.mark.parametrize("name", ["scan", "scan_state", "parameter"])
def test_what_statements_write_is_no_call_and_the_statement_is_told(name: str, check: Check) -> None:
    for call in (f"op.{name}(x)", f"{name}(x)"):
        (problem,) = check(component(f"return {call}"))
        assert problem.code == "MCT0051"
        assert problem.hint is not None
        assert problem.hint.startswith("write `")


def test_what_depends_on_no_state_may_see_other_frames(check: Check) -> None:
    assert not check(component(STATE + "{ h = h + conv1d(x, 8, 3) }", "return h"))


MIXES = "block mixes(h: f32[B, T, C], x: f32[B, T, C]) { return h + conv1d(x, C, 3) }\n"
MEETS = "block meets(h: f32[B, T, C], x: f32[B, T, C]) { return tanh(h + linear(x, C)) }\n"


def test_a_block_that_reads_a_state_has_no_op_over_other_frames(check: Check) -> None:
    """A module has a class for the block, and calls it once a frame."""
    (problem,) = check(MIXES + component(STATE + "{ h = mixes(h, x) as mix }", "return h"))
    assert problem.code == "MCT0118"
    assert "`mix` reads a state" in problem.message
    assert "`conv1d`" in problem.message
    assert not check(MEETS + component(STATE + "{ h = meets(h, conv1d(x, 8, 3) as before) }", "return h"))


def test_scan_is_a_word_before_a_name_alone(check: Check) -> None:
    assert not check(component("scan = 2 * x", "return scan"))
    (problem,) = check(component("scam h: f32[B, T, 8] { h = x }", "return x"))
    assert problem.hint is not None
    assert "scan" in problem.hint


def test_a_scan_is_formatted() -> None:
    assert (
        format_source("scan h:f32[B,T,8]=1,c:f32[B,T,8]{h=h+x}")
        == "scan h: f32[B, T, 8] = 1, c: f32[B, T, 8] { h = h + x }\n"
    )


SHARE = "scan s: f32[B, T, 1] = {start} {{ s = s / (1 + s) + 0 * x }}"
ONE = {"inputs": "x: f32[B, T, 1]", "result": "f32[B, T, 1]"}


@pytest.mark.parametrize("start", ["1e18", "-1e18"])
def test_a_state_that_leaves_a_large_start_keeps_its_digits(start: str, elaborate: Elaborate) -> None:
    """In float64 1e18 + 1 is 1e18: what is kept less of the start would be 0 for good."""
    program = elaborate(component(SHARE.format(start=start), "return s", **ONE))
    found, _ = evaluate(program.functions["c"], {"x": np.zeros((1, 9, 1))}, {}.__getitem__)
    np.testing.assert_allclose(found["output"][0, :, 0], 1 / np.arange(1.0, 10.0), rtol=1e-12)


@pytest.mark.parametrize(("start", "scans"), [("0", 1), ("0.75", 1), ("-0.5", 1), ("1", 2), ("1.5", 2)])
def test_a_small_start_is_an_offset_and_needs_no_loop_of_its_own(start: str, scans: int, elaborate: Elaborate) -> None:
    program = elaborate(component(SHARE.format(start=start), "return s", **ONE))
    assert [op.name for op in program.functions["c"].ops].count("scan") == scans


def test_lists_in_lists_leave_a_scan(elaborate: Elaborate) -> None:
    text = "block each(x: f32[B, T, C]) { return x, [2 * x, 3 * x] }\n"
    program = elaborate(text + component(STATE + "{ h = 0.5 * h + x; all = each(h) }", "return all[1][1] - all[0]"))
    last = program.functions["c"].ops[-1]
    assert [value.owner.name for value in last.present() if value.owner is not None] == ["scan", "scan"]
    found, _ = evaluate(program.functions["c"], {"x": np.ones((1, 2, 8))}, {}.__getitem__)
    np.testing.assert_allclose(found["output"][0, :, 0], [2.0, 3.0])
