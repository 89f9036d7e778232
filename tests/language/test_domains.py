"""What a spec says of the entries of inputs: sets, ranges and limits, and what is refused."""

from __future__ import annotations

import pytest

from mctc.ir.domain import MASK, Choices, Domain, Interval
from mctc.language import format_source

from .conftest import Check, Elaborate, component

LEVEL = "x: f32[B, T, 8], level: f32[B, T, 1] "
USED = "return x * level"


@pytest.mark.parametrize(
    ("words", "domain"),
    [
        ("in {0, 1}", MASK),
        ("in {1, 0, 0.5, 1}", Choices((0.0, 0.5, 1.0))),
        ("in {-0.5, width // 4,}", Choices((-0.5, 2.0))),
        ("in [-1, 1]", Interval(-1, 1)),
        ("in [0, width / 16]", Interval(0, 0.5)),
        ("> 0", Interval(0, excluded=(True, False))),
        (">= 1e-5", Interval(1e-5)),
        ("< -2", Interval(high=-2, excluded=(False, True))),
        ("<= 0.25", Interval(high=0.25)),
        ("> 0 and <= 1", Interval(0, 1, (True, False))),
        ("< 1 and >= 0", Interval(0, 1, (False, True))),
    ],
)
def test_an_input_says_what_its_entries_may_be(words: str, domain: Domain, elaborate: Elaborate) -> None:
    program = elaborate(component(USED, inputs=LEVEL + words, values="width = 8"))
    assert program.functions["c"].domains == {"level": domain}


@pytest.mark.parametrize(
    ("words", "domain", "bound"),
    [
        ("< 7", None, "7"),
        ("<= 6", None, "7"),
        (">= 0 and < 7", None, "7"),
        ("in [0, 6]", None, "7"),
        ("in {0, 2, 5}", Choices((0, 2, 5), whole=True), "6"),
        (">= 1 and < 7", Interval(1, 7, (False, True), whole=True), "7"),
        (">= 1", Interval(1, whole=True), None),
        ("in {-1, 1}", Choices((-1, 1), whole=True), None),
    ],
)
def test_ids_have_a_bound_where_their_domain_gives_one(
    words: str, domain: Domain | None, bound: str | None, elaborate: Elaborate
) -> None:
    ids = elaborate(
        component(USED + " + cast(id, 'f32')".replace("'", '"'), inputs=f"{LEVEL}, id: i32[B, T, 1] {words}")
    )
    function = ids.functions["c"]
    assert function.domains == ({} if domain is None else {"id": domain})
    given = function.inputs[-1].type.bound
    assert (None if given is None else str(given)) == bound


@pytest.mark.parametrize(
    "call",
    [
        "attention(x, x, x, m, heads = 2, left = 2, right = 0)",
        "op.lstm(x, wi, wh, mask = m)",
        "op.lstm(x, wi, wh, mask = m) * m",
    ],
)
def test_what_an_op_takes_as_its_mask_is_0_or_1_unasked(call: str, elaborate: Elaborate) -> None:
    weights = "param wi: f32[32, 8]", "param wh: f32[32, 8]"
    program = elaborate(component(*weights, f"return {call}", inputs="x: f32[B, T, 8], m: f32[T]"))
    assert program.functions["c"].domains == {"m": MASK}


@pytest.mark.parametrize(
    ("inputs", "result", "code"),
    [
        ("x: f32[B, T, 8] in [1, -1]", "f32[B, T, 8]", "MCT0114"),
        ("x: f32[B, T, 8] > 0 and < 0", "f32[B, T, 8]", "MCT0114"),
        ("x: f32[B, T, 8] > 0 and >= 1", "f32[B, T, 8]", "MCT0114"),
        ('x: f32[B, T, 8] in {0, "one"}', "f32[B, T, 8]", "MCT0114"),
        ("x: f32[B, T, 8] < T", "f32[B, T, 8]", "MCT0114"),
        ("x: f32[B, T, 8] < true", "f32[B, T, 8]", "MCT0114"),
        ("x: f32[B, T, 8] < y", "f32[B, T, 8]", "MCT0050"),
        ("x: f32[B, T, 8], n: i32[B, T] in {0, 0.5}", "f32[B, T, 8]", "MCT0114"),
        ("x: f32[B, T, 8], n: i32[B, T] < 0", "f32[B, T, 8]", "MCT0009"),
        ("x: f32[B, T, 8], n: bool[B, T] in {0, 1}", "f32[B, T, 8]", "MCT0108"),
        ("x: f32[B, T, 8]", "f32[B, T, 8] in [-1, 1]", "MCT0108"),
        ("x: f32[B, T, 8] in {0, 1", "f32[B, T, 8]", "MCT0023"),
        ("x: f32[B, T, 8] in {}", "f32[B, T, 8]", "MCT0020"),
        ("x: f32[B, T, 8] in (0, 1)", "f32[B, T, 8]", "MCT0020"),
        ("x: f32[B, T, 8] in {0; 1}", "f32[B, T, 8]", "MCT0023"),
    ],
)
def test_a_domain_that_says_nothing_is_refused(inputs: str, result: str, code: str, check: Check) -> None:
    found = check(component("return x", inputs=inputs, result=result))
    assert next(each.code for each in found if each.is_error) == code
    assert all(each.span is not None for each in found)


def test_a_block_says_nothing_of_its_inputs(check: Check) -> None:
    block = "block half(x: f32[..., C] > 0) { return x * 0.5 }\n"
    assert [each.code for each in check(block + component("return half(x)"))] == ["MCT0108"]


def test_in_is_a_word_behind_a_type_alone(elaborate: Elaborate) -> None:
    program = elaborate(component("in = relu(x)", "sizes = [8]", "in = in * sizes[0]", "return in"))
    assert len(program.functions["c"].ops) == 2


def test_domains_are_printed_in_one_way() -> None:
    head = "component c(x: f32[T,8]in{ 0,1,}, y: f32[T]>0 and<= 1/2, # loud\n z: f32[] in[-1,\n1])"
    text = f"{head} -> f32[T] {{ return y }}\n"
    printed = format_source(text)
    assert printed == (
        "component c(\n    x: f32[T, 8] in {0, 1},\n    y: f32[T] > 0 and <= 1 / 2,  # loud\n    z: f32[] in [-1, 1],\n"
        ") -> f32[T] { return y }\n"
    )
    assert format_source(printed) == printed


def test_ids_of_which_nothing_is_said_end_with_their_tables(elaborate: Elaborate) -> None:
    read = "return x + embedding(id, 9, 8) + embedding(id, 7, 8) + embedding(word, 9, 8)"
    program = elaborate(component(read, inputs="x: f32[B, T, 8], id: i32[B, T], word: i32[B, T] < 5"))
    assert program.functions["c"].domains == {"id": Interval(0, 7, (False, True), whole=True)}


@pytest.mark.parametrize("words", [">= 0", "in {-1, 1}", "in {0, 9}", "in [-3, 3]"])
def test_an_id_without_a_row_is_refused_at_its_input(words: str, check: Check) -> None:
    text = component("return x + embedding(id, 9, 8)", inputs=f"x: f32[B, T, 8], id: i32[B, T] {words}")
    (found,) = check(text)
    assert found.code in ("MCT0103", "MCT0115")
    assert found.span is not None


@pytest.mark.parametrize("dtype", ["bool", "i32"])
@pytest.mark.parametrize(
    "call",
    ["attention(x, x, x, m, heads = 2)", "op.lstm(x, wi, wh, mask = m)", "op.gru(x, vi, wh, none, none, none, m)"],
)
def test_a_mask_that_is_no_float_is_made_one(dtype: str, call: str, elaborate: Elaborate) -> None:
    weights = "param wi: f32[32, 8]", "param vi: f32[24, 8]", f"param wh: f32[{32 if 'lstm' in call else 24}, 8]"
    program = elaborate(component(*weights, f"return {call}", inputs=f"x: f32[B, T, 8], m: {dtype}[B, T]"))
    function = program.functions["c"]
    domain = function.domain(function.inputs[1])
    assert domain == Choices((0.0, 1.0), whole=dtype == "i32")
    assert [op.name for op in function.ops if function.inputs[1] in op.operands] == ["cast"]


@pytest.mark.parametrize("call", ["m + m", "m * x", "2 * m", "softmax(m)", "clip(m, 0, 1)", "relu(m)"])
def test_arithmetic_on_true_and_false_is_refused(call: str, check: Check) -> None:
    found = check(component(f"y = {call}", "return x", inputs="x: f32[B, T, 8], m: bool[B, T, 8]"))
    assert "MCT0103" in [each.code for each in found if each.is_error]
