"""Values that an evaluation asks for again and again: those of a small model are held."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.ir.program import Quantization
from mctc.ir.text import parse_program
from mctc.numerics import parameters
from mctc.numerics.parameters import Deployed, kept
from mctc.quantize import quantize
from mctc.weights import Weights, unpacked

HALF = np.random.default_rng(0).standard_normal((4, 8)).astype(np.float16)
FORMS = {
    "half": HALF,
    "wide": HALF.astype(np.float32) / 3,
    "int8": quantize(HALF, Quantization("int8", bits=8, axis=0)),
    "palette": quantize(HALF, Quantization("palette", bits=4, axis=0)),
}


def test_values_are_those_that_artifacts_hold() -> None:
    np.testing.assert_array_equal(unpacked(FORMS["half"]), HALF.astype(np.float32))
    np.testing.assert_array_equal(unpacked(FORMS["wide"]), FORMS["wide"])
    for name in ("int8", "palette"):
        np.testing.assert_array_equal(unpacked(FORMS[name]), FORMS[name].dequantize().astype(np.float32))
        assert unpacked(FORMS[name]).dtype == np.float32


@pytest.mark.parametrize(("room", "made"), [(32, ["a"]), (31, ["a", "a"])])
def test_values_of_a_small_model_are_made_once(monkeypatch: pytest.MonkeyPatch, room: int, made: list[str]) -> None:
    program = parse_program("program @m { source @a: f32[4, 8] = normal(std = 0.5) param @a }")
    monkeypatch.setattr(parameters, "KEPT", room)
    asked = list[str]()
    value = kept(program, lambda name: asked.append(name) or HALF)
    for _ in range(2):
        np.testing.assert_array_equal(value("a"), HALF)
    assert asked == made


THREE = """program @m {
    source @a: f32[4, 8] = normal(std = 0.5) param @a
    source @b: f32[4, 8] = normal(std = 0.5) param @b
    source @c: f32[4, 9] = normal(std = 0.5) param @c
    source @t: f32[5, 2] = normal(std = 0.5) param @t
    function @f(%i: i32[batch 1] < 5) { %t = parameter @t %r = embedding(%i, %t) return r = %r }
}"""


def test_values_of_a_large_model_are_held_as_long_as_there_is_room_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    program = parse_program(THREE)
    monkeypatch.setattr(parameters, "KEPT", 10)
    monkeypatch.setattr(parameters, "LAST", 70)
    weights, asked = Weights(program.sources), list[str]()
    deployed = weights.deployed
    monkeypatch.setattr(weights, "deployed", lambda each: asked.append(each.name) or deployed(each))
    value = Deployed(program, weights)
    for name in "abaca":
        np.testing.assert_array_equal(value(name), deployed(program.parameters[name]))
    assert asked == ["a", "b", "c"], "c took the place of b, which was not asked for as long as a"
    monkeypatch.setattr(parameters, "LAST", 35)
    value, asked[:] = Deployed(program, weights), []
    for name in "acac":
        value(name)
    assert asked == ["a", "c", "c"], "what there is no room for drives nothing out"


def test_tables_whose_rows_are_picked_are_as_they_are_stored() -> None:
    program = parse_program(THREE)
    value = Deployed(program, Weights(program.sources)).within(program.functions["f"])
    assert value("t").dtype == np.float16
    assert value("a").dtype == np.float32
