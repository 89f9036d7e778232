"""Dropout, stochastic depth and layer drop as a spec says them."""

from __future__ import annotations

import pytest

from mctc.ir.printer import print_program

from .conftest import Check, Elaborate, component


def test_kinds_and_rates_become_ops(elaborate: Elaborate) -> None:
    lines = ("y = dropout(x, 0.1)", 'z = dropout(y, 1 / 4, "time")', "return layer_drop(z, x, 0.2)")
    ops = [(op.name, op.attributes) for _, op in elaborate(component(*lines)).ops()]
    assert ops == [
        ("dropout", {"rate": 0.1, "kind": "element"}),
        ("dropout", {"rate": 0.25, "kind": "time"}),
        ("layer_drop", {"rate": 0.2}),
    ]


def test_a_rate_of_zero_leaves_no_op(elaborate: Elaborate) -> None:
    plain = component("y = relu(x)", "return y + tanh(y)")
    dropped = component("y = dropout(relu(x), rate)", "return layer_drop(y + dropout(tanh(y), rate), x, rate)",
                        values="rate = 0")  # fmt: skip
    assert print_program(elaborate(dropped)) == print_program(elaborate(plain))
    assert print_program(elaborate(dropped, defines={"rate": 0.5})) != print_program(elaborate(plain))


def test_a_rate_may_grow_with_the_round(elaborate: Elaborate) -> None:
    spec = component("repeat i < 4 { x = layer_drop(relu(x), x, 0.2 * i / 4) }", "return x")
    rates = [op.attributes["rate"] for _, op in elaborate(spec).ops() if op.name == "layer_drop"]
    assert rates == pytest.approx([0.05, 0.1, 0.15])


def test_a_value_hides_no_op_of_its_name(elaborate: Elaborate) -> None:
    spec = component("return dropout(x, dropout)", values="dropout = 0.3")
    assert [op.attributes["rate"] for _, op in elaborate(spec).ops()] == [0.3]


@pytest.mark.parametrize(
    ("line", "place", "words"),
    [
        ("return dropout(x, 1)", "1", "rate is a probability from 0 to below 1, not 1"),
        ("return dropout(x, rate = -0.5)", "rate = -0.5", "from 0 to below 1, not -0.5"),
        ('return dropout(x, "high")', '"high"', "from 0 to below 1, not 'high'"),
        ('return dropout(x, 0.1, "row")', '"row"', "there is no kind 'row'"),
        ("return layer_drop(x, x, 3 / 2)", "3 / 2", "from 0 to below 1, not 1.5"),
        ("return layer_drop(linear(x, 4), x, 0.1)", "x", "what a layer gives is"),
    ],
)
def test_a_fault_is_told_where_it_stands(check: Check, line: str, place: str, words: str) -> None:
    (found,) = check(component(line))
    assert found.code == "MCT0103"
    assert found.span is not None
    assert found.span.text == place
    assert words in found.message


def test_a_rate_is_checked_where_it_is_zero_for_other_reasons(check: Check) -> None:
    (found,) = check(component('return dropout(x, 0, "row")'))
    assert found.code == "MCT0103"
