"""Every published row of the engine's arithmetic, through the evaluator of Core ML programs."""

from __future__ import annotations

from collections.abc import Callable
from math import erf

import numpy as np
import pytest

from mctc.evaluate.coreml import Evaluator
from mctc.evaluate.engine.activations import HALVES, activate
from mctc.evaluate.engine.fitted import gelu, silu
from mctc.package import TensorType
from tests.evaluate.coreml.conftest import Sketch, constant

from .published import ELEMENTWISE, INTEGER_SUMS, LARGEST, OUTPUTS, SUMS, Largest, Sum

FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "tanh": np.tanh, "gelu": gelu, "silu": silu, "erf": np.vectorize(erf),
    "sin": np.sin, "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x),
    "inverse": lambda x: 1 / x,
}  # fmt: skip


def result_of(sketch: Sketch, arithmetic: str, **given: np.ndarray) -> float:
    """The one number that a program gives whose last operation makes `y`."""
    found = Evaluator(sketch.package(["y"]), arithmetic).function()(given)
    return float(found["y"].item())


@pytest.mark.parametrize("row", SUMS, ids=str)
@pytest.mark.parametrize("family", ["h16", "h18"])
def test_sums_of_a_convolution(row: Sum, family: str, sketch: Sketch) -> None:
    weights = np.array(row.weights or (1.0,) * len(row.x), np.float16).reshape(1, -1, 1, 1)
    sketch.input("x", "fp16", (1, len(row.x), 1, 1))
    given = {"weight": constant(weights)}
    if row.bias is not None:
        given["bias"] = constant(np.array([row.bias], np.float16))
    sketch.op("conv", {"y": TensorType("fp16", (1, 1, 1, 1))}, x="x", **given)
    with np.errstate(over="ignore"):
        x = np.array(row.x, np.float32).astype(np.float16).reshape(1, -1, 1, 1)
    found = result_of(sketch, f"engine:{family}", x=x)
    assert found == row.result
    assert not np.signbit(found) or row.result < 0


@pytest.mark.parametrize(("type_", "x", "y", "result"), ELEMENTWISE)
def test_elementwise_ops(type_: str, x: float, y: float, result: float, sketch: Sketch) -> None:
    for name in ("a", "b"):
        sketch.input(name, "fp16", (1,))
    sketch.op(type_, {"y": TensorType("fp16", (1,))}, x="a", y="b")
    assert result_of(sketch, "engine", a=np.array([x], np.float16), b=np.array([y], np.float16)) == result


@pytest.mark.parametrize(("entries", "kernel", "x", "weight", "bits", "result"), INTEGER_SUMS)
def test_sums_of_int8(entries: int, kernel: int, x: int, weight: int, bits: int, result: float, sketch: Sketch) -> None:
    shape = (1, entries, kernel, 1)
    scale = np.float16(2.0**-bits)
    sketch.input("x", "int8", shape)
    sketch.op("dequantize", {"wide": TensorType("fp16", shape)}, input="x", scale=constant(scale))
    stored = {"data": constant(np.full(shape, weight, np.int8)), "scale": constant(np.full((1, 1, 1, 1), scale))}
    sketch.op("constexpr_blockwise_shift_scale", {"weight": TensorType("fp16", shape)}, **stored)
    sketch.op("conv", {"y": TensorType("fp16", (1, 1, 1, 1))}, x="wide", weight="weight")
    assert result_of(sketch, "engine", x=np.full(shape, x, np.int8)) == result


@pytest.mark.parametrize("row", LARGEST, ids=lambda row: row.name)
def test_largest_errors_of_activations(row: Largest) -> None:
    """To every digit that was written, and at the place."""
    x = HALVES[(row.low <= HALVES) & (row.high >= HALVES)].astype(np.float32)
    exact = FUNCTIONS[row.name](x.astype(np.float64))
    error = np.abs(activate(row.name, x) - exact)
    octave = np.maximum(np.frexp(exact)[1] - 1, -14)
    if row.absolute is not None:
        assert error.max() == pytest.approx(row.absolute, rel=5e-4)
    if row.last_places is not None:
        places = error / np.exp2(octave - 10.0)
        assert places.max() == pytest.approx(row.last_places, abs=0.051)
        if row.at is not None:
            assert abs(x[places.argmax()]) == pytest.approx(abs(row.at), rel=5e-4)


@pytest.mark.parametrize(("name", "x", "result", "places"), OUTPUTS)
def test_single_outputs_of_activations(name: str, x: float, result: float, places: int) -> None:
    (found,) = activate(name, np.array([x], np.float16).astype(np.float32))
    assert round(float(found), places) == result
