"""Constants that fp16 turns into 0, into something far larger, or into infinity (ANE-NM).

What becomes 0 on the way to fp16, coremltools 9 replaces by the smallest number that fp16 has, 2^-24: 1e-12 and 1e-9
both come out as 5.96e-08. The engine takes that, and all else below 2^-14, for 0.
"""

from __future__ import annotations

from mctc.linter.coreml.bounds import FP16_LARGEST, FP16_SMALLEST, INF, Interval, as_fp16, bounds, extremes, magnitude
from mctc.linter.coreml.graph import READ_LIMIT, Op
from mctc.linter.coreml.rule import OpRule, Severity
from mctc.linter.coreml.target import Target
from mctc.linter.coreml.trace import VIEWS, after, behind_views

LEAST_EPSILON = 5e-7
"""Below it an epsilon is none that anybody would choose for fp16: 1e-6 and 1e-5 are common, and kept as they are."""
NORM_EPSILONS = {"layer_norm": 1e-5, "instance_norm": 1e-5, "batch_norm": 1e-5, "l2_norm": 1e-6}
"""Norms, with the epsilon that MIL takes where it is left out."""
FLOORS = {"maximum": "xy", "add": "xy", "clip": ("alpha",)}
"""What keeps a divisor from zero, with the operands that hold the floor."""
REPEATS = VIEWS | {"tile", "slice_by_index", "concat"}
FACTORS = {
    "mul": ("x", "y"), "real_div": ("x", "y"), "add": ("x", "y"), "sub": ("x", "y"), "matmul": ("x", "y"),
    "select": ("a", "b"), "fill": ("value",), "fill_like": ("value",), "concat": ("values",), "stack": ("values",),
    "conv": ("weight",), "conv_transpose": ("weight",), "linear": ("weight",), "pad": ("constant_val",),
}  # fmt: skip
"""Ops that an infinite constant goes into, with the operands; a bias is ANE-NM-003's."""
MULTIPLIED = ("mul", "real_div", "matmul", "conv", "conv_transpose", "linear")
"""Of these, the ones that make a NaN of it where the other factor is 0."""
PASSES_ON = REPEATS | {"add", "sub", "select", "split"}
ATTENTION = ("softmax", "scaled_dot_product_attention")
"""Where a mask ends; ANE-AT-010 speaks of those."""
ENDS_WELL = frozenset((
    *ATTENTION, "reduce_max", "reduce_min", "reduce_argmax", "reduce_argmin", "maximum",
    "minimum", "clip", "topk", "exp", "sigmoid", "tanh", "relu", "max_pool", "greater", "greater_equal", "less",
    "less_equal", "equal", "not_equal",
))  # fmt: skip
"""Ops that make something finite of an infinity."""


def _constant(op: Op, operand: str) -> Interval | None:
    """The smallest and the largest number of a constant operand, stored or cast, as fp16 holds them."""
    constant = op.constant(operand)
    if constant is None and len(op.bindings(operand)) == 1:
        made = op.function.folded.get(getattr(op.bindings(operand)[0], "name", ""))
        constant = made.constant("x") if made is not None and made.type == "cast" else None
    found = extremes(constant, READ_LIMIT) if constant is not None else None
    return None if found is None else (as_fp16(found[0]), as_fp16(found[1]))


def _epsilon(op: Op, _: Target) -> str | None:
    given = op.value("epsilon", NORM_EPSILONS[op.type])
    if op.dtype("x") != "fp16" or not isinstance(given, (int, float)) or not 0 <= as_fp16(given) < LEAST_EPSILON:
        return None
    spread = _constant(op, "variance") if op.type == "batch_norm" else None
    if spread is not None and spread[0] > LEAST_EPSILON:
        return None
    return f"epsilon of {op.type} is {_told(given)}: where all values are equal, as in silence, 0 is divided by 0"


def _floor(op: Op, _: Target) -> str | None:
    divisor = behind_views(op, "y", REPEATS)
    if op.dtype("y") != "fp16" or divisor is None or divisor.type not in FLOORS:
        return None
    for operand in FLOORS[divisor.type]:
        kept = _constant(divisor, operand)
        if kept is None or not 0 <= kept[0] < FP16_SMALLEST:
            continue
        if divisor.type == "add" and not _reaches_zero(divisor, "x" if operand == "y" else "y"):
            continue
        return f"a divisor is kept from zero by no more than {_told(kept[0])}"
    return None


def _reaches_zero(op: Op, operand: str) -> bool:
    found = bounds(op, operand)
    return found is not None and 0 <= found[0] < FP16_SMALLEST


def _factor(op: Op, _: Target) -> str | None:
    for operand in ("x", "y") if op.type == "mul" else ("y",):
        found = _constant(op, operand) if op.dtype(operand) == "fp16" else None
        if found is None:
            continue
        if op.type == "mul" and (largest := magnitude(found)) is not None and largest < FP16_SMALLEST:
            return f"a factor of {_told(largest)}: so is the product"
        if op.type == "real_div" and min(map(abs, found)) == INF:
            return "a divisor beyond the range of fp16: the quotient is 0"
    return None


def _infinite(op: Op, _: Target) -> str | None:
    if op.result is None or op.result.dtype != "fp16":
        return None
    for operand in FACTORS[op.type]:
        found = _constant(op, operand)
        if found is None or magnitude(found) != INF or (op.type == "real_div" and operand == "y"):
            continue
        behind = {each.type for each in after(op, PASSES_ON)}
        if op.type in MULTIPLIED and behind.isdisjoint(ATTENTION):
            return f"{operand} of {op.type} holds {_infinity(found)}: 0 times it is NaN"
        if behind.isdisjoint(ENDS_WELL):
            return f"{operand} of {op.type} holds {_infinity(found)}, which nothing behind it holds back"
    return None


def _infinity(found: Interval) -> str:
    return "-inf" if found[0] == -INF else "inf"


def _told(number: float) -> str:
    """'1e-07, 0 on the engine': a small number, and what becomes of it."""
    if number == 0:
        return "0"
    return f"{number:.3g}, 0 {'in fp16' if as_fp16(number) == 0 else 'on the engine'}"


SMALL = (
    "apple/coremltools 9.0 (converted: 1e-12 and 1e-9 are stored as 5.96e-08); sbryngelson/ANEForge #263 (on the "
    "engine sqrt of 0 + 1e-7 and of 0 + 1e-6 is 0, of 0 + 6e-5 it is not)"
)

EPSILON = OpRule(
    code="ANE-NM-012",
    name="lost-epsilon",
    summary="a norm whose epsilon fp16 can't hold",
    severity=Severity.NUMERICS,
    evidence="CM",
    confidence="M",
    ops=tuple(NORM_EPSILONS),
    why="""
        fp16 has no number between 0 and 6e-08, and the engine none between 0 and 6.1e-05. An epsilon of 1e-12, as BERT
        has it, is gone; coremltools 9 writes 5.96e-08 in its place. Of a row of equal values, digital silence for one,
        the variance is 0 and the result NaN or infinite, and a state carries that on. 1e-6 and 1e-5 are not reported:
        whether a norm's own epsilon is flushed was not measured.
    """,
    fix="Set epsilon to 1e-5 or more (6.1e-05 to be sure) before the conversion; trained weights bear it.",
    source=SMALL,
    find=_epsilon,
    fires="""
        x: fp16[1, 64, 256]
        y: fp16[1, 64, 256] = layer_norm(x=x, axes=[-1], epsilon=5.96e-08)
        return y
    """,
    silent="""
        x: fp16[1, 64, 256]
        y: fp16[1, 64, 256] = layer_norm(x=x, axes=[-1], epsilon=1e-05)
        return y
    """,
)

FLOOR = OpRule(
    code="ANE-NM-013",
    name="lost-floor",
    summary="a division whose divisor only a number below 6.1e-05 keeps from zero",
    severity=Severity.NUMERICS,
    evidence="CM",
    confidence="M",
    ops=("real_div",),
    why="""
        max(norm, 1e-12), as torch's normalize has it, and std + 1e-9 are max(norm, 0) and std + 0 on the engine: where
        the rest is 0, so is the divisor. coremltools 9 stores such a floor as 5.96e-08. Roots are ANE-NM-005's.
    """,
    fix="Make the floor 1e-4, or scale the values up first.",
    source=SMALL,
    find=_floor,
    fires="""
        x: fp16[1, 64, 256]
        n: fp16[1, 64, 1] = reduce_l2_norm(x=x, axes=[-1], keep_dims=True)
        m: fp16[1, 64, 1] = maximum(x=n, y=5.96e-08)
        y: fp16[1, 64, 256] = real_div(x=x, y=m)
        return y
    """,
    silent="""
        x: fp16[1, 64, 256]
        n: fp16[1, 64, 1] = reduce_l2_norm(x=x, axes=[-1], keep_dims=True)
        m: fp16[1, 64, 1] = maximum(x=n, y=0.0001)
        y: fp16[1, 64, 256] = real_div(x=x, y=m)
        return y
    """,
)

FACTOR = OpRule(
    code="ANE-NM-014",
    name="lost-factor",
    summary="a constant factor that is 0 in fp16 or on the engine",
    severity=Severity.NUMERICS,
    evidence="CM",
    confidence="M",
    ops=("mul", "real_div"),
    why="""
        A factor below 6.1e-05, or a divisor over 65504, makes 0 of every value. coremltools 9 stores a factor of 1e-9
        as 5.96e-08, so elsewhere than on the engine the product is 60 times too large instead.
    """,
    fix="Spread the factor over two multiplications with the values between them in range, or fold it into weights.",
    source=SMALL,
    find=_factor,
    fires="""
        x: fp16[1, 64]
        y: fp16[1, 64] = mul(x=x, y=3e-05)
        return y
    """,
    silent="""
        x: fp16[1, 64]
        y: fp16[1, 64] = mul(x=x, y=0.0001)
        return y
    """,
)

INFINITE = OpRule(
    code="ANE-NM-015",
    name="infinite-constant",
    summary="a constant that is infinite in fp16 goes into sums or products",
    severity=Severity.NUMERICS,
    evidence="BM",
    confidence="M",
    ops=tuple(FACTORS),
    why=f"""
        What is beyond {FP16_LARGEST:.0f} is infinite in fp16. Times 0 it is NaN, less itself it is NaN. A mask of -1e9
        in Gemma 4's audio encoder came out as -inf: NaN on the CPU, other numbers on the engine (M4 Pro). Masks ahead
        of a softmax are ANE-AT-010's; what goes into a maximum, a comparison or a clip is not reported.
    """,
    fix="Use a finite number of the size that is needed, such as -10000 for a mask.",
    source="cactus-compute/cactus #734",
    find=_infinite,
    fires="""
        x: fp16[1, 64]
        y: fp16[1, 64] = mul(x=x, y=fp16[64](inf))
        return y
    """,
    silent="""
        x: fp16[1, 64]
        y: fp16[1, 64] = mul(x=x, y=fp16[64](65504))
        return y
    """,
)

LOST_CONSTANTS = (EPSILON, FLOOR, FACTOR, INFINITE)
