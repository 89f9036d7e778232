"""Compile-time arithmetic is exact, and says so where it is not possible."""

from __future__ import annotations

from fractions import Fraction

import pytest

from mctc.diagnostics.diagnostic import DiagnosticError
from mctc.ir.dims import Extent
from mctc.language.values import Quantity, show

from .conftest import Elaborate, component


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("2 + 3 * 4 - 1", "13"),
        ("(2 + 3) * 4", "20"),
        ("8 / 3 * 3", "8"),
        ("7 // 2 + 7 % 2", "4"),
        ("-7 // 2 + 10", "6"),
        ("2 ** 3 ** 2", "512"),
        ("-2 ** 2 + 9", "5"),
        ("ceil(7 / 2) * floor(7 / 2)", "12"),
        ("round(5 / 2)", "3"),
        ("min(4, 3, 5) + max([1, 2])", "5"),
        ("log2(16) + sqrt(9) + abs(-2)", "9"),
        ("len([1, 2]) + sum([3, 4])", "9"),
        ("int(6.0)", "6"),
        ("1 if 2 < 3 and not 3 < 2 or false else 2", "1"),
        ("[5, 6, 7][-1]", "7"),
        ('1 if "a" + "b" == "ab" else 2', "1"),
        ("1 if none == none and 1 != none else 2", "1"),
        ("T * 4 / T", "4"),
        ("16_0 // 1_0", "16"),
    ],
)
def test_an_expression_has_its_value(expression: str, value: str, elaborate: Elaborate) -> None:
    program = elaborate(component(f"n = {expression}", f"assert n == {value}", "param p: f32[n]", "return x"))
    assert program.parameters["c.p"].type.extents == (Extent.of(int(value)),)


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("1 / 0", "MCT0071"),
        ("2 ** 10 ** 6", "MCT0008"),
        ("1.5", "MCT0072"),
        ("true", "MCT0072"),
        ("T", "MCT0106"),
        ("ceil(T)", "MCT0078"),
        ("T ** 2", "MCT0078"),
        ("log2(0)", "MCT0076"),
        ("(0 - 8) ** 0.5", "MCT0070"),
        ("0 ** -1", "MCT0071"),
        ("3 ms", "MCT0072"),
    ],
)
def test_an_expression_without_a_value_is_refused(expression: str, code: str, elaborate: Elaborate) -> None:
    with pytest.raises(DiagnosticError) as caught:
        elaborate(component(f"n = {expression}", "param p: f32[n]", "return x"))
    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == [code]


@pytest.mark.parametrize(
    ("expression", "code", "hint"),
    [("x / 0", "MCT0071", None), ("x ** 3", "MCT0070", "`x * x ** 2`"), ('x + "1"', "MCT0070", "tensors take + - * /")],
)
def test_arithmetic_that_a_tensor_does_not_take_is_told_with_what_it_does(
    expression: str, code: str, hint: str | None, elaborate: Elaborate
) -> None:
    with pytest.raises(DiagnosticError) as caught:
        elaborate(component(f"return {expression}"))
    (found,) = caught.value.diagnostics
    assert found.code == code
    assert found.hint is None if hint is None else hint in str(found.hint)


@pytest.mark.parametrize(
    ("extent", "inferred"),
    [("T/4", "T/4"), ("2 * T + 1", "2*T + 1"), ("T * 3 / 2 - T", "T/2"), ("B * T", "B*T")],
)
def test_extents_with_dimensions_stay_exact(extent: str, inferred: str, elaborate: Elaborate) -> None:
    program = elaborate(component("return x", inputs=f"x: f32[{extent}, 8]", result=f"f32[{extent}, 8]"))
    assert str(program.functions["c"].inputs[0].type.extents[0]) == inferred


@pytest.mark.parametrize(
    ("expression", "ops"),
    [
        ("x + y", ["add"]),
        ("x - y * x / y", ["mul", "div", "sub"]),
        ("2 * x + 1", ["scale", "scale"]),
        ("1 - x", ["scale"]),
        ("x / 4", ["scale"]),
        ("1 / x", ["reciprocal", "scale"]),
        ("-x", ["neg"]),
        ("x ** 2", ["square"]),
        ("x ** 0.5", ["sqrt"]),
    ],
)
def test_operators_on_tensors_are_ops(expression: str, ops: list[str], elaborate: Elaborate) -> None:
    program = elaborate(component(f"return {expression}", inputs="x: f32[B, T, 8], y: f32[B, T, 8]"))
    assert [op.name for op in program.functions["c"].ops] == ops


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [("2/25", "s", "80 ms"), ("1/80", "s", "12.5 ms"), ("16000", "Hz", "16 kHz"), ("125/4", "Hz", "31.25 Hz"),
     ("30", "s", "30 s"), ("3", "frames", "3 frames"), ("0", "s", "0 s")],
)  # fmt: skip
def test_a_quantity_is_shown_in_a_unit_of_which_there_is_one_or_more(value: str, unit: str, shown: str) -> None:
    assert show(Quantity(Fraction(value), unit)) == shown


@pytest.mark.parametrize("length", ["2 * 1 s", "1 s * 2", "4 * 0.5 * 1 s", "0.1 * 20 s", "20 s * 0.1", "1 s / 0.5"])
def test_a_number_times_a_quantity_is_one(length: str, elaborate: Elaborate) -> None:
    """A tenth of 20 s is 2 s, though no float is a tenth."""
    text = component("return x").rstrip("}\n") + f"}}\nutterance {{ length = {length} }}\n}}\n"
    assert elaborate(text).utterance.settings == {"length": 2}
