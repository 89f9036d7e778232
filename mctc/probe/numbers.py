"""Probes of single sums and elementwise results: which candidate's arithmetic gives what came out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from mctc.evaluate.coreml.precision import Array
from mctc.package import Constant, Package, TensorType
from mctc.probe.probe import Kind, Probe, inputs_of, packages_of
from mctc.records import dataclass

CHANNELS, ROWS = 64, 64
LSB = 2.0**-16
INF, NAN = float("inf"), float("nan")


@dataclass(frozen=True)
class Row:
    """bias + sum of x * weight in this order; `about` says what the row tells apart."""

    about: str
    x: tuple[float, ...]
    weights: tuple[float, ...] = ()
    bias: float = 0.0

    @property
    def factors(self) -> list[tuple[float, float]]:
        return list(zip(self.x, self.weights or (1.0,) * len(self.x), strict=True))


SUMS = (
    Row("bound of the accumulator", (16384.0, 16384.0)),
    Row("bound of the accumulator", (32752.0,)),
    Row("bound of the accumulator", (16384.0, 16376.0)),
    Row("bound, negative", (-16384.0, -16384.0)),
    Row("infinity is sticky", (16384.0, 16384.0, -16384.0, -16384.0, 1.0)),
    Row("scale is fixed", (8.0,), (4096.0,)),
    Row("ties", (2048.0, 1.0)),
    Row("ties, negative", (-4096.0, -2.0)),
    Row("ties", (4096.0, 2.0)),
    Row("ties of small numbers", (1.0, 2.0**-11)),
    Row("step of the accumulator", (16384.0, LSB, -16384.0)),
    Row("step of the accumulator", (2.0**-17,)),
    Row("step of the accumulator", (2.0**-18,)),
    Row("partial sums are not fp16", (2048.0, 1.0, -2048.0)),
    Row("partial sums are not fp16", (1.0, 2048.0, -2048.0)),
    Row("dropped products", (1.99 * 2.0**-14,), (1.99 * 2.0**-3,)),
    Row("dropped products", (1.5 * 2.0**-13,), (0.125,)),
    Row("subnormal factors", (0.5 * 2.0**-14,), (0.25,)),
    Row("infinity as a number", (INF,), (0.25,)),
    Row("NaN as a number", (NAN,), (0.25,)),
    Row("bias starts the sum", (16384.0, 16384.0), bias=-16384.0),
    Row("bias counts towards the bound", (32736.0,), bias=32.0),
    Row("bias is rounded", (0.0,), bias=2.0**-17),
    Row("bias is rounded", (0.0,), bias=2.0**-20),
)
ADDED = (
    (2048.0, 1.0), (-2048.0, -1.0), (65504.0, 16.0), (40000.0, 1.0), (2.0**-24, 0.0), (NAN, 1.0), (INF, -1.0),
    (1.0, 2.0**-11), (65504.0, 8.0),
)  # fmt: skip


@dataclass(frozen=True)
class Held:
    """A constant's value, in memory."""

    value: Array
    stored_bytes: int = 0

    def load(self) -> Array:
        return self.value


def half_constant(array: Array) -> Constant:
    return Constant(TensorType("fp16", array.shape), Held(array.astype(np.float16)))


def sums() -> Probe:
    """One 1x1 convolution: row r of SUMS is channel r at position r."""
    x, weight = np.zeros((1, CHANNELS, 1, ROWS)), np.zeros((ROWS, CHANNELS, 1, 1))
    bias = np.zeros(ROWS)
    for place, row in enumerate(SUMS):
        for channel, (value, factor) in enumerate(row.factors):
            x[0, channel, 0, place], weight[place, channel, 0, 0] = value, factor
        bias[place] = row.bias
    package, bare = packages_of("sums", f"""
        x: fp16[1, {CHANNELS}, 1, {ROWS}]
        y: fp16[1, {ROWS}, 1, {ROWS}] = conv(x=x, weight=fp16[{ROWS}, {CHANNELS}, 1, 1], bias=fp16[{ROWS}])
    """, "y")  # fmt: skip
    package, bare = (_with_values(each, {"weight": weight, "bias": bias}) for each in (package, bare))
    given = {"x": x.astype(np.float16)}
    question = "how the engine adds products: bound, ties, step, dropped products, bias"
    return Probe("sums", Kind.NUMBERS, question, package, bare, inputs_of(package, given), "conv", "y")


def additions() -> Probe:
    """One elementwise addition."""
    a, b = (np.zeros((1, 64, 1, 64)) for _ in range(2))
    for place, (one, other) in enumerate(ADDED):
        a[0, 0, 0, place], b[0, 0, 0, place] = one, other
    package, bare = packages_of("additions", """
        a: fp16[1, 64, 1, 64]
        b: fp16[1, 64, 1, 64]
        y: fp16[1, 64, 1, 64] = add(x=a, y=b)
    """, "y")  # fmt: skip
    given = {"a": a.astype(np.float16), "b": b.astype(np.float16)}
    question = "how the engine adds elementwise: ties, subnormal numbers, NaN, overflow"
    return Probe("additions", Kind.NUMBERS, question, package, bare, inputs_of(package, given), "add", "y")


def _with_values(package: Package, values: Mapping[str, Array]) -> Package:
    """Constant operands of the op that is not ballast are given their values in place."""
    from dataclasses import replace

    function = package.functions["main"]
    operations = tuple(
        replace(op, inputs={**op.inputs, **{key: (half_constant(array),) for key, array in values.items()}})
        if op.type == "conv" and "bias" in op.inputs
        else op
        for op in function.body.operations
    )
    changed = replace(function, body=replace(function.body, operations=operations))
    return replace(package, functions={"main": changed})


def names_of(probe: str) -> list[str]:
    """What each read result is, in words."""
    if probe == "sums":
        return [f"{row.about}: {_sum(row)}" for row in SUMS]
    return [f"{one:g} + {other:g}" for one, other in ADDED]


def _sum(row: Row) -> str:
    terms = [f"{x:g}" if weight == 1 else f"{x:g} * {weight:g}" for x, weight in row.factors]
    return " + ".join([*([f"bias {row.bias:g}"] if row.bias else []), *terms]).replace("+ -", "- ")


def read_rows(probe: str, result: Array) -> Array:
    """The results that count, in the order of `names_of`."""
    if probe == "sums":
        return np.array([result[0, place, 0, place] for place in range(len(SUMS))], np.float32)
    return np.asarray(result[0, 0, 0, : len(ADDED)], np.float32)


Hypothesis = Callable[[Sequence[tuple[float, float]], float], float]


def _ieee(factors: Iterable[tuple[float, float]], bias: float) -> float:
    """Sums in float32, rounded once to fp16, ties to even."""
    with np.errstate(all="ignore"):
        total = np.float32(bias)
        for x, weight in factors:
            total = np.float32(total + np.float32(np.float16(x)) * np.float32(np.float16(weight)))
        return float(np.float16(total))


def _saturating(factors: Iterable[tuple[float, float]], bias: float) -> float:
    """Fixed point with 16 bits behind the point that stays at its bound, rounded to fp16, ties to even."""
    limit, total = 2.0**31 - 1, np.round(bias * 2.0**16)
    for x, weight in factors:
        a, b = _number(x), _number(weight)
        total = min(max(total + np.round(a * b * 2.0**16), -limit), limit)
    return float(np.float16(total / 2.0**16))


def _number(value: float) -> float:
    """Infinity and NaN as the numbers that their exponent gives."""
    if np.isnan(value):
        return 98304.0
    return float(np.copysign(65536.0, value)) if np.isinf(value) else float(np.float16(value))


HYPOTHESES: dict[str, Hypothesis] = {
    "float32 sums, ties to even (IEEE)": _ieee,
    "fixed point that saturates": _saturating,
}
"""What sources say beside what was measured on M4 and M6 (which the evaluator gives): ane-guide, an older paper."""


def predictions(probe: str, engine: Array) -> dict[str, Array]:
    """By candidate, what each row would be. engine: the evaluator's, in the arithmetic of M4 and M6."""
    found = {"as M4 and M6 (751K)": engine}
    if probe == "sums":
        for name, candidate in HYPOTHESES.items():
            found[name] = np.array([candidate(row.factors, row.bias) for row in SUMS], np.float32)
    else:
        with np.errstate(all="ignore"):
            pairs = [(np.float16(one), np.float16(other)) for one, other in ADDED]
            found["IEEE, ties to even"] = np.array([one + other for one, other in pairs], np.float32)
    return found
