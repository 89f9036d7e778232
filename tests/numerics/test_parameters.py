"""Values that an evaluation asks for again and again: those of a small model are held."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.ir.program import Quantization
from mctc.ir.text import parse_program
from mctc.numerics import parameters
from mctc.numerics.parameters import kept
from mctc.quantize import quantize
from mctc.weights import unpacked

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
