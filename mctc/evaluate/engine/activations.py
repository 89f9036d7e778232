"""Functions of one number as the engine computes them: exactly, or by tables of 33 values.

Source of every grid: 751K, notes/numerics.md F3b, read from programs compiled for h18g. What is behind the last knot,
and how intermediate results round, follows from the published errors (docs/engine-arithmetic.md).
"""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from mctc.evaluate.coreml.ops.activation import erf
from mctc.evaluate.coreml.precision import Array
from mctc.evaluate.engine.arithmetic import Unknown
from mctc.evaluate.engine.fitted import FITTED, fitted_table
from mctc.evaluate.engine.interpolation import half, sampled

SIGMOID_END = 9.9375
"""Where sigmoid's straight line from the last knot, at -8, reaches 0: it crosses the function at -9.508, and its error
is largest in last places, 810.8, where 0 begins."""
ERF_SLOPE = 0.013
"""erf's from the last knot, at 2: neither erf(2) nor 1 from there on keeps the published largest error, this does."""
LOG2_E, LN_2 = float(np.float16(np.log2(np.e))), float(np.float16(np.log(2)))


def _sigmoid(x: Array) -> Array:
    table = sampled(lambda at: 1 / (1 + np.exp(-at)), -8.0, 0.5)
    magnitude = np.abs(x)
    end = table.values[0] * np.maximum(0.0, (SIGMOID_END - magnitude) / (SIGMOID_END - 8))
    beyond = np.where(x < 0, end, 1 - end)
    return np.where(magnitude > 8, beyond, table(np.clip(x, -8, 8)))


def _tanh(x: Array) -> Array:
    magnitude = np.abs(x)
    inside = sampled(np.tanh, 0.0, 0.125)(np.minimum(magnitude, 4))
    return np.copysign(np.where(magnitude > 4, 1.0, inside), x)


def _erf(x: Array) -> Array:
    table, magnitude = sampled(erf, 0.0, 1 / 16), np.abs(x)
    beyond = np.minimum(1.0, table.values[-1] + ERF_SLOPE * (magnitude - 2))
    return np.copysign(np.where(magnitude > 2, beyond, table(np.minimum(magnitude, 2))), x)


def _sin(x: Array) -> Array:
    """By symmetry from a quarter of the period; how the argument is brought there isn't published."""
    turns = np.abs(x) * (2 / np.pi)
    quarter = np.floor(turns)
    part = turns - quarter
    table = sampled(lambda at: np.sin(at * np.pi / 2), 0.0, 1 / 32)
    magnitude = table(np.where(quarter % 2 == 1, 1 - part, part))
    return np.copysign(1.0, x) * np.where(quarter % 4 >= 2, -magnitude, magnitude)


def _exp(x: Array) -> Array:
    """2^(x log2 e), that product rounded to fp16, with log2 e in fp16."""
    power = half(np.clip(x, -100, 100) * LOG2_E)
    whole = np.floor(power)
    return sampled(np.exp2, 0.0, 1 / 32)(power - whole) * np.exp2(np.clip(whole, -64, 64))


def _log(x: Array) -> Array:
    """(log2 of the mantissa + exponent) ln 2, rounded to fp16 after each, with ln 2 in fp16."""
    mantissa, exponent = np.frexp(np.where(x > 0, x, 1.0))
    binary = half(half(sampled(np.log2, 0.5, 1 / 64)(mantissa)) + exponent)
    return np.where(x > 0, binary * LN_2, np.where(x == 0, -np.inf, np.inf))


def _octaves(x: Array) -> tuple[Array, Array]:
    """x = 4^exponent * part, with part from 1/2 to 2."""
    mantissa, exponent = np.frexp(np.where(x > 0, x, 1.0))
    odd = exponent % 2 != 0
    return np.where(odd, 2 * mantissa, mantissa), (exponent - odd) // 2


def _sqrt(x: Array) -> Array:
    part, exponent = _octaves(x)
    found = sampled(np.sqrt, 0.5, 1 / 16, 25)(part) * np.exp2(exponent)
    return np.where(x > 0, found, np.where(x == 0, 0.0, np.inf))


def _rsqrt(x: Array) -> Array:
    part, exponent = _octaves(x)
    found = sampled(lambda at: 1 / np.sqrt(at), 0.5, 1 / 16, 25)(part) * np.exp2(-exponent)
    return np.where(x > 0, found, np.inf)


def _inverse(x: Array) -> Array:
    mantissa, exponent = np.frexp(np.abs(np.where(x == 0, 1.0, x)))
    found = sampled(lambda at: 1 / at, 0.5, 1 / 64)(mantissa) * np.exp2(-exponent.astype(np.float64))
    return np.copysign(np.where(x == 0, np.inf, found), x)


def _fitted(name: str) -> Callable[[Array, Unknown], Array]:
    def apply(x: Array, unknown: Unknown) -> Array:
        table, end = fitted_table(name, unknown), -FITTED[name].first
        return np.where(np.abs(x) > end, FITTED[name].function(x), table(np.clip(x, -end, end)))

    return apply


EXACT: dict[str, Callable[[Array], Array]] = {
    "relu": lambda x: np.maximum(x, 0.0), "abs": np.abs, "sign": np.sign, "square": np.square,
}  # fmt: skip
"""Without a table: computed."""
SAMPLED: dict[str, Callable[[Array], Array]] = {
    "sigmoid": _sigmoid, "tanh": _tanh, "erf": _erf, "sin": _sin, "exp": _exp, "log": _log, "sqrt": _sqrt,
    "rsqrt": _rsqrt, "inverse": _inverse,
}  # fmt: skip
"""By tables of the function's own values."""
AROUND: dict[str, Callable[[Array, Unknown], Array]] = {name: _fitted(name) for name in FITTED}
"""By tables of fitted values, of which not all are published."""
ADDED = {"log": 0.0, "rsqrt": 1e-12, "inverse": 1e-4}
"""What is added first unless `epsilon` says otherwise, in fp16 (the published error of inverse is that of 1e-4)."""
HALVES = np.arange(1 << 16, dtype=np.uint16).view(np.float16)


@cache
def results(name: str, unknown: Unknown, epsilon: float) -> Array:
    """float32 [65536]: what comes of every fp16 number, by its bits."""
    with np.errstate(all="ignore"):
        bits = np.arange(1 << 16)
        magnitude = np.where((bits >> 10) & 31 == 31, (1 + (bits & 1023) / 1024) * 65536, np.abs(HALVES))
        x = np.where(bits >> 15, -magnitude, magnitude).astype(np.float64)
        x = half(x + float(np.float16(epsilon))) if epsilon else x
        found = AROUND[name](x, unknown) if name in AROUND else (SAMPLED.get(name) or EXACT[name])(x)
        return half(found).astype(np.float32)


def activate(name: str, x: Array, unknown: Unknown = "mid", epsilon: float | None = None) -> Array:
    """float32 in, fp16 numbers in float32 out. x: fp16 numbers."""
    added = ADDED.get(name, 0.0) if epsilon is None else epsilon
    with np.errstate(all="ignore"):
        return results(name, unknown, added)[x.astype(np.float16).view(np.uint16)]
