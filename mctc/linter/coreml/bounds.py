"""Between which numbers a value lies, as far as the graph says: intervals, worked out a few ops back.

A value that nothing holds back is UNBOUNDED; None means that the file leaves it open (a constant that is too large to
read, or too long a way back), so a rule that asks can keep silent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from struct import pack, unpack
from typing import Any

from mctc import half_bits
from mctc.linter.coreml.graph import FunctionGraph, Op, elements, read_constant
from mctc.linter.coreml.trace import behind_views
from mctc.package import Constant, Reference

Interval = tuple[float, float]
INF = math.inf
UNBOUNDED: Interval = (-INF, INF)
DEPTH = 7
"""Ops that are looked back over."""
MANY = 1 << 16
"""Elements up to which a constant is read for its smallest and largest."""
LIST = 8
"""Operands of a concat that are looked at."""

FP16_LARGEST = 65504.0
FP16_SMALLEST = 2.0**-14
"""The smallest normal number of fp16; the engine flushes what lies below."""


def bounds(op: Op, operand: str, depth: int = DEPTH) -> Interval | None:
    """Where all values of an operand lie."""
    bindings = op.bindings(operand)
    if not bindings or len(bindings) > LIST:
        return None
    whole: Interval | None = None
    for binding in bindings:
        found = _bound(op, binding, depth)
        if found is None:
            return None
        whole = found if whole is None else _union(whole, found)
    return whole


def result_bounds(op: Op, depth: int = DEPTH) -> Interval | None:
    """Where all values of an op's result lie, as long as it computes without a limit to its numbers."""
    return FIXED[op.type] if op.type in FIXED else _RESULTS.get(op.type, _anything)(op, depth - 1)


def magnitude(found: Interval | None) -> float | None:
    """The largest absolute value in an interval."""
    return None if found is None else max(abs(found[0]), abs(found[1]))


def extremes(constant: Constant, many: int = MANY) -> Interval | None:
    """The smallest and the largest number of a constant; None where it can't be read, is no number or holds a NaN."""
    if elements(constant.type) > many:
        return None
    value = read_constant(constant)
    if getattr(value, "dtype", None) == "float16" and value.size:
        halves = half_bits.extremes(value)
        return None if math.isnan(halves[0]) else halves
    try:
        low, high = (value.min(), value.max()) if hasattr(value, "min") else (value, value)
        found = float(low), float(high)
    except (TypeError, ValueError):
        return None
    return None if math.isnan(found[0]) or math.isnan(found[1]) else found


def _bound(op: Op, binding: Reference | Constant, depth: int) -> Interval | None:
    if isinstance(binding, Constant):
        return extremes(binding)
    found = op.function.bounded
    if (binding.name, depth) not in found:  # each op looks back over what those before it have looked at
        found[binding.name, depth] = _named(op.function, binding.name, depth)
    return found[binding.name, depth]


def _named(function: FunctionGraph, name: str, depth: int) -> Interval | None:
    constant = function.constants.get(name)
    if constant is not None:
        return extremes(constant)
    if name in function.fixed and name not in function.folded:
        return None
    made = function.folded.get(name) or function.made.get(name)
    if made is None:
        return UNBOUNDED  # an input
    if made.type in FIXED:
        return FIXED[made.type]
    if depth <= 0:
        return None
    if name in function.fixed and made.type not in _RESULTS:
        return None
    return _RESULTS.get(made.type, _anything)(made, depth - 1)


def _anything(op: Op, depth: int) -> Interval | None:
    return UNBOUNDED


def _same(op: Op, depth: int) -> Interval | None:
    return bounds(op, "x", depth)


def _cast(op: Op, depth: int) -> Interval | None:
    found = bounds(op, "x", depth)
    if found is None or op.result is None or op.result.dtype != "fp16":
        return found
    return as_fp16(found[0]), as_fp16(found[1])


def as_fp16(number: float) -> float:
    """The nearest fp16 number: an infinity from 65520 on, 0 up to 2^-25."""
    try:
        return float(unpack("<e", pack("<e", number))[0])
    except OverflowError:
        return math.copysign(INF, number)


def _joined(op: Op, depth: int) -> Interval | None:
    return bounds(op, "values", depth - 2)  # so many ways back are cut short


def _union(a: Interval, b: Interval) -> Interval:
    return min(a[0], b[0]), max(a[1], b[1])


def _two(rule: Callable[[Interval, Interval], Interval], *names: str) -> Callable[[Op, int], Interval | None]:
    """Of two operands."""

    def result(op: Op, depth: int) -> Interval | None:
        a, b = (bounds(op, name, depth) for name in names or ("x", "y"))
        return None if a is None or b is None else rule(a, b)

    return result


def _one(rule: Callable[[float], float]) -> Callable[[Op, int], Interval | None]:
    """Of one operand, by a function that rises everywhere."""

    def result(op: Op, depth: int) -> Interval | None:
        found = bounds(op, "x", depth)
        return None if found is None else (rule(found[0]), rule(found[1]))

    return result


def _times(a: Interval, b: Interval) -> Interval:
    corners = [0.0 if 0 in (x, y) else x * y for x, y in product(a, b)]
    return min(corners), max(corners)


def _inverted(found: Interval) -> Interval:
    low, high = found
    if low > 0 or high < 0:
        return 1 / high, 1 / low
    if low == 0 and high > 0:
        return 1 / high, INF
    return (-INF, 1 / low) if high == 0 and low < 0 else UNBOUNDED


def _squared(found: Interval) -> Interval:
    low, high = found
    smallest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    largest = max(abs(low), abs(high))
    return smallest * smallest, largest * largest


def _square(op: Op, depth: int) -> Interval | None:
    found = bounds(op, "x", depth)
    return (0.0, INF) if found is None else _squared(found)


def _mul(op: Op, depth: int) -> Interval | None:
    if is_square(op):
        return _square(op, depth)
    return _two(_times)(op, depth)


def _pow(op: Op, depth: int) -> Interval | None:
    if is_square(op):
        return _square(op, depth)
    found = bounds(op, "x", depth)
    return found and ((0.0, INF) if found[0] >= 0 else UNBOUNDED)


def _abs(op: Op, depth: int) -> Interval | None:
    low, high = _square(op, depth) or (0.0, INF)
    return math.sqrt(low), math.sqrt(high)


def _sub(op: Op, depth: int) -> Interval | None:
    largest = behind_views(op, "y")
    if largest is not None and largest.type in LARGEST:
        return -INF, 0.0
    return _two(lambda a, b: (_sum(a[0], -b[1], -INF), _sum(a[1], -b[0], INF)))(op, depth)


def _sum(a: float, b: float, otherwise: float) -> float:
    found = a + b
    return otherwise if math.isnan(found) else found


def _clip(op: Op, depth: int) -> Interval | None:
    low, high = (op.value(name) for name in ("alpha", "beta"))
    if not (_is_number(low) and _is_number(high)):
        return None
    a, b = bounds(op, "x", depth) or UNBOUNDED
    return max(min(a, high), low), max(min(b, high), low)


def _sum_of(found: Interval) -> Interval:
    """Where a sum of many lies: only the sign is kept."""
    return 0.0 if found[0] >= 0 else -INF, 0.0 if found[1] <= 0 else INF


def _reduce_sum(op: Op, depth: int) -> Interval | None:
    raised = op.producer("x")
    if raised is not None and raised.type == "exp" and _is_below_maximum(raised):
        return 1.0, INF  # the largest of them is exp(0)
    found = bounds(op, "x", depth)
    return found and _sum_of(found)


def _is_below_maximum(op: Op) -> bool:
    made = op.producer("x")
    largest = behind_views(made, "y") if made is not None and made.type == "sub" else None
    return largest is not None and largest.type == "reduce_max"


def _dequantize(op: Op, depth: int) -> Interval | None:
    """What 8 bits can hold, in steps of the scale."""
    held = {"int8": (-128.0, 127.0), "uint8": (0.0, 255.0)}.get(op.dtype("input") or "")
    constant = op.constant("scale")
    scale, zero = None if constant is None else extremes(constant), op.value("zero_point", 0)
    if held is None or scale is None or not _is_number(zero):
        return None
    return _times((held[0] - zero, held[1] - zero), scale)


def _pad(op: Op, depth: int) -> Interval | None:
    fill, found = op.value("constant_val", 0.0), bounds(op, "x", depth)
    return _union(found, (fill, fill)) if found is not None and _is_number(fill) else None


def _gated(op: Op, depth: int) -> Interval | None:
    found = bounds(op, "x", depth)
    return found and (max(-0.28, min(0.0, found[0])), max(0.0, found[1]))


def _exp(x: float) -> float:
    return math.exp(x) if x < 700 else INF


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -INF


def is_square(op: Op) -> bool:
    """Whether an op multiplies a value by itself."""
    if op.type == "mul":
        x, y = op.bindings("x"), op.bindings("y")
        return bool(x) and x == y and isinstance(x[0], Reference)
    return op.type == "square" or (op.type == "pow" and power(op) == 2)


def power(op: Op) -> float | None:
    """The exponent of a pow, where it is one number."""
    found = op.value("y")
    return float(found) if _is_number(found) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not math.isnan(value)


LARGEST = ("reduce_max", "maximum", "reduce_log_sum_exp")
"""What a difference is taken from to keep it from rising above zero."""
UNIT: Interval = (0.0, 1.0)
FIXED: dict[str, Interval] = {
    "sigmoid": UNIT, "softmax": UNIT, "sigmoid_hard": UNIT, "relu6": (0.0, 6.0),
    "tanh": (-1.0, 1.0), "softsign": (-1.0, 1.0), "erf": (-1.0, 1.0), "sin": (-1.0, 1.0), "cos": (-1.0, 1.0),
    "sign": (-1.0, 1.0), "atan": (-1.5708, 1.5708),
    **dict.fromkeys(("rsqrt", "reduce_sum_square", "reduce_l1_norm", "reduce_l2_norm"), (0.0, INF)),
}  # fmt: skip
_PASSED_ON = (
    "reshape", "transpose", "expand_dims", "squeeze", "identity", "slice_by_index", "slice_by_size", "split",
    "tile", "reverse", "gather", "gather_along_axis", "reduce_mean", "reduce_max", "reduce_min",
    "avg_pool", "max_pool", "upsample_nearest_neighbor",
)  # fmt: skip
_RESULTS: dict[str, Callable[[Op, int], Interval | None]] = {
    **dict.fromkeys(_PASSED_ON, _same),
    **dict.fromkeys(("concat", "stack"), _joined),
    "cast": _cast,
    "add": _two(lambda a, b: (_sum(a[0], b[0], -INF), _sum(a[1], b[1], INF))),
    "sub": _sub,
    "mul": _mul,
    "real_div": _two(lambda a, b: _times(a, _inverted(b))),
    "inverse": lambda op, depth: (found := bounds(op, "x", depth)) and _inverted(found),
    "pow": _pow,
    "square": _square,
    "abs": _abs,
    "clip": _clip,
    "maximum": _two(lambda a, b: (max(a[0], b[0]), max(a[1], b[1]))),
    "minimum": _two(lambda a, b: (min(a[0], b[0]), min(a[1], b[1]))),
    "select": _two(_union, "a", "b"),
    "reduce_sum": _reduce_sum,
    "matmul": _two(lambda a, b: _sum_of(_times(a, b))),
    "pad": _pad,
    "dequantize": _dequantize,
    "exp": _one(_exp),
    "log": _one(_log),
    "sqrt": _one(lambda x: math.sqrt(max(0.0, x))),
    "relu": _one(lambda x: max(0.0, x)),
    "softplus": _one(lambda x: x if x > 30 else math.log1p(_exp(x))),
    "silu": _gated,
    "gelu": _gated,
}
