"""Forms that are written in place of the plain ones because of what a runtime or the engine does with those."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.evaluate.coreml import Evaluator
from mctc.ir.build import Builder
from mctc.ir.program import Program, State, Value
from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.table import table
from mctc.package import Package

from .conftest import Make
from .hand_made import finish, laid_out


def kept(returned: str) -> Program:
    """A step that adds its input to its state; it returns the new state, what goes into it, or neither."""
    program = Program("keeps")
    b = Builder(program)
    x, state = Value(laid_out(4, 32), "x"), Value(laid_out(4, 32), "s")
    louder = b.op("scale", x, factor=0.5)
    update = b.op("add", state, louder)
    result = {"update": update, "part": louder}.get(returned) or b.op("relu", x)
    finish(b, "step", [x], [("y", result)], [State("s", state, update)])
    return program


def codes(package: Package) -> set[str]:
    return {finding.rule.code for finding in check_package(package, table().rules.values()).findings}


@pytest.mark.parametrize(("returned", "factor"), [("update", True), ("part", True), ("neither", False)])
def test_what_a_state_is_written_from_goes_out_as_a_product_with_one(make: Make, returned: str, factor: bool) -> None:
    made = make(kept(returned))
    (package,) = made.packages
    (last,) = [op for op in package.functions["main"].operations if op.outputs and op.outputs[0].name == "y"]
    assert (last.type == "mul") is factor
    assert not {"ANE-ST-008", "ANE-ST-008b"} & codes(package)
    assert made.check()
    assert made.retyped()


def test_with_states_as_inputs_and_outputs_nothing_is_added(make: Make) -> None:
    (package,) = make(kept("part"), state="io").packages
    assert [op.type for op in package.functions["main"].operations if op.type != "const"] == ["mul", "add"]


@pytest.mark.parametrize(("high", "kinds"), [(10, ["clip", "softplus"]), (11, ["clip", "softplus", "maximum"])])
def test_softplus_of_what_is_clipped_below_its_fall_stands_alone(make: Make, high: float, kinds: list[str]) -> None:
    program = Program("soft")
    b = Builder(program)
    x = Value(laid_out(4, 32), "x")
    finish(b, "step", [x], [("y", b.op("softplus", b.op("clip", x, low=-6, high=high)))], [])
    (package,) = make(program).packages
    assert [op.type for op in package.functions["main"].operations if op.type != "const"] == kinds
    assert "ANE-NM-016" not in codes(package)


def test_softplus_is_no_less_than_its_argument_even_where_it_falls_to_zero(make: Make) -> None:
    program = Program("soft")
    b = Builder(program)
    x = Value(laid_out(4, 32), "x")
    finish(b, "step", [x], [("y", b.op("softplus", x))], [])
    (package,) = make(program).packages
    assert "ANE-NM-016" not in codes(package)
    function = Evaluator(package).function()
    (item,) = function.inputs
    given = np.linspace(-20, 20, np.prod(item.type.shape), dtype=np.float16).reshape(item.type.shape)  # type: ignore[union-attr]
    (found,) = function({item.name: given}).values()
    expected = np.logaddexp(given.astype(np.float64), 0).astype(np.float16)
    np.testing.assert_array_equal(found, expected)
