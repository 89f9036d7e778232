"""Elementwise ops and activations against their definitions, an element at a time in Python's math."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

RNG = np.random.default_rng(7)
ANY = RNG.uniform(-3, 3, (2, 3, 4)).astype(np.float32)
UNIT = RNG.uniform(-0.9, 0.9, (2, 3, 4)).astype(np.float32)
POSITIVE = RNG.uniform(0.1, 4, (2, 3, 4)).astype(np.float32)
HALVES = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], np.float32)


def each(function: Callable[..., float], *arrays: np.ndarray) -> np.ndarray:
    """The function applied element by element, in Python's floats."""
    return np.vectorize(lambda *values: function(*map(float, values)), otypes=[np.float64])(*arrays).astype(np.float32)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


UNARY: list[tuple[str, Callable[[float], float], np.ndarray]] = [
    ("abs", abs, ANY),
    ("acos", math.acos, UNIT),
    ("asin", math.asin, UNIT),
    ("atan", math.atan, ANY),
    ("atanh", math.atanh, UNIT),
    ("ceil", math.ceil, ANY),
    ("cos", math.cos, ANY),
    ("cosh", math.cosh, ANY),
    ("erf", math.erf, ANY),
    ("exp", math.exp, ANY),
    ("exp2", lambda x: 2.0**x, ANY),
    ("floor", math.floor, ANY),
    ("identity", lambda x: x, ANY),
    ("round", round, np.concatenate([HALVES, ANY.ravel()])),
    ("sign", lambda x: (x > 0) - (x < 0), ANY),
    ("sin", math.sin, ANY),
    ("sinh", math.sinh, ANY),
    ("sqrt", math.sqrt, POSITIVE),
    ("square", lambda x: x * x, ANY),
    ("tan", math.tan, UNIT),
    ("tanh", math.tanh, ANY),
    ("sigmoid", sigmoid, ANY),
    ("silu", lambda x: x * sigmoid(x), ANY),
    ("relu", lambda x: max(x, 0), ANY),
    ("relu6", lambda x: min(max(x, 0), 6), 4 * ANY),
    ("softplus", lambda x: math.log(1 + math.exp(x)), ANY),
    ("softsign", lambda x: x / (1 + abs(x)), ANY),
]


@pytest.mark.parametrize(("op", "definition", "x"), UNARY, ids=[row[0] for row in UNARY])
def test_an_op_of_one_operand_is_its_definition(check: Any, op: str, definition: Any, x: np.ndarray) -> None:
    check(op, each(definition, x), x=x)


PARAMETERS: list[tuple[str, dict[str, Any], Callable[[float], float], np.ndarray]] = [
    ("clip", {"alpha": -1.0, "beta": 0.5}, lambda x: min(max(x, -1), 0.5), ANY),
    ("threshold", {"alpha": 0.3}, lambda x: max(x, 0.3), ANY),
    ("inverse", {"epsilon": 0.25}, lambda x: 1 / (x + 0.25), POSITIVE),
    ("inverse", {}, lambda x: 1 / (x + 1e-4), POSITIVE),
    ("log", {"epsilon": 0.5}, lambda x: math.log(x + 0.5), POSITIVE),
    ("rsqrt", {"epsilon": 0.5}, lambda x: 1 / math.sqrt(x + 0.5), POSITIVE),
    ("leaky_relu", {"alpha": 0.1}, lambda x: x if x > 0 else 0.1 * x, ANY),
    ("clamped_relu", {"alpha": 0.1, "beta": 1.0}, lambda x: min(x if x > 0 else 0.1 * x, 1), ANY),
    ("thresholded_relu", {"alpha": 0.7}, lambda x: x if x >= 0.7 else 0, ANY),
    ("elu", {"alpha": 0.7}, lambda x: x if x > 0 else 0.7 * (math.exp(x) - 1), ANY),
    ("gelu", {"mode": "EXACT"}, lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2, ANY),
    (
        "gelu",
        {"mode": "TANH_APPROXIMATION"},
        lambda x: x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
        ANY,
    ),
    ("gelu", {"mode": "SIGMOID_APPROXIMATION"}, lambda x: x * sigmoid(1.702 * x), ANY),
    ("scaled_tanh", {"alpha": 1.5, "beta": 0.4}, lambda x: 1.5 * math.tanh(0.4 * x), ANY),
    ("sigmoid_hard", {"alpha": 0.3, "beta": 0.4}, lambda x: min(max(0.3 * x + 0.4, 0), 1), ANY),
    ("linear_activation", {"alpha": 0.3, "beta": -2.0}, lambda x: 0.3 * x - 2, ANY),
]


@pytest.mark.parametrize(("op", "parameters", "definition", "x"), PARAMETERS)
def test_an_op_with_parameters_is_its_definition(
    check: Any, op: str, parameters: dict[str, Any], definition: Any, x: np.ndarray
) -> None:
    check(op, each(definition, x), x=x, **parameters)


BINARY: list[tuple[str, Callable[[float, float], float]]] = [
    ("add", lambda x, y: x + y),
    ("sub", lambda x, y: x - y),
    ("mul", lambda x, y: x * y),
    ("real_div", lambda x, y: x / y),
    ("floor_div", lambda x, y: math.floor(x / y)),
    ("mod", math.fmod),
    ("maximum", max),
    ("minimum", min),
]


@pytest.mark.parametrize(("op", "definition"), BINARY, ids=[row[0] for row in BINARY])
def test_two_operands_are_broadcast(check: Any, op: str, definition: Any) -> None:
    y = RNG.uniform(0.5, 2, (3, 1)).astype(np.float32)
    x = ANY + np.float32(0.01)
    check(op, each(definition, *np.broadcast_arrays(x, y)), x=x, y=y)


def test_pow_of_floats_and_integers(check: Any) -> None:
    check("pow", each(lambda x, y: x**y, POSITIVE, ANY), x=POSITIVE, y=ANY)
    check("pow", np.array([8, 1, -27], np.int32), x=np.array([2, 5, -3], np.int32), y=np.array([3, 0, 3], np.int32))


INTEGERS = [
    ("add", [12, -5], [7, -7]),
    ("sub", [-2, 9], [7, -7]),
    ("mul", [35, -14], [7, -7]),
    ("floor_div", [0, -1], [7, -7]),
    ("mod", [5, 2], [7, -7]),
    ("real_div", [0, 0], [7, -7]),
    ("maximum", [7, 2], [7, -7]),
]


@pytest.mark.parametrize(("op", "expected", "y"), INTEGERS)
def test_integer_arithmetic_stays_integer(check: Any, op: str, expected: list[int], y: list[int]) -> None:
    check(op, np.array(expected, np.int32), x=np.array([5, 2], np.int32), y=np.array(y, np.int32))


COMPARISONS: list[tuple[str, Callable[[Any, Any], bool]]] = [
    ("equal", lambda x, y: x == y),
    ("not_equal", lambda x, y: x != y),
    ("greater", lambda x, y: x > y),
    ("greater_equal", lambda x, y: x >= y),
    ("less", lambda x, y: x < y),
    ("less_equal", lambda x, y: x <= y),
]


@pytest.mark.parametrize(("op", "definition"), COMPARISONS, ids=[row[0] for row in COMPARISONS])
def test_comparisons_give_booleans(check: Any, op: str, definition: Any) -> None:
    x, y = np.array([1.0, 2.0, 3.0], np.float32), np.array([2.0, 2.0, 2.0], np.float32)
    check(op, np.array([definition(a, b) for a, b in zip(x, y, strict=True)]), x=x, y=y)


LOGIC: list[tuple[str, Callable[[bool, bool], bool]]] = [
    ("logical_and", lambda x, y: x and y),
    ("logical_or", lambda x, y: x or y),
    ("logical_xor", lambda x, y: x is not y),
]


@pytest.mark.parametrize(("op", "definition"), LOGIC, ids=[row[0] for row in LOGIC])
def test_logic(check: Any, op: str, definition: Any) -> None:
    x, y = np.array([True, True, False, False]), np.array([True, False, True, False])
    check(op, np.array([definition(bool(a), bool(b)) for a, b in zip(x, y, strict=True)]), x=x, y=y)
    check("logical_not", np.array([False, False, True, True]), x=x)


def test_one_slope_per_channel(check: Any) -> None:
    alpha, beta = np.array([0.1, 0.5, 2.0], np.float32), np.array([1.0, 0.3, 0.7], np.float32)
    prelu, softplus = ANY.copy(), ANY.copy()
    for channel in range(3):
        a, b = float(alpha[channel]), float(beta[channel])
        prelu[:, channel] = each(lambda x, a=a: x if x > 0 else a * x, ANY[:, channel])
        softplus[:, channel] = each(lambda x, a=a, b=b: a * math.log(1 + math.exp(b * x)), ANY[:, channel])
    check("prelu", prelu, x=ANY, alpha=alpha)
    check("softplus_parametric", softplus, x=ANY, alpha=alpha, beta=beta)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("int32", np.array([1, -1, 0, 2147483647], np.int32)),
        ("int8", np.array([1, -1, 0, 127], np.int8)),
        ("uint8", np.array([1, 0, 0, 255], np.uint8)),
        ("bool", np.array([True, True, False, True])),
        ("fp32", np.array([1.9, -1.9, 0, 1e12], np.float32)),
    ],
)
def test_cast_drops_the_fraction_and_saturates(check: Any, dtype: str, expected: np.ndarray) -> None:
    check("cast", expected, x=np.array([1.9, -1.9, 0.0, 1e12], np.float32), dtype=dtype)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax_sums_to_one_along_its_axis(check: Any, axis: int) -> None:
    powers = np.exp(ANY.astype(np.float64))
    check("softmax", (powers / powers.sum(axis=axis, keepdims=True)).astype(np.float32), x=ANY, axis=axis)
