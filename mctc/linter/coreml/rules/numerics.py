"""Numbers that go wrong on the engine while placement stays (ANE-NM): overflow, underflow, scales.

Here is what asks how large or small a value can get. numeric_ops.py holds the rules on single ops, lost_constants.py
those on constants, overflowing_forms.py and converted_wrong.py those on how a function is written, and dual_engine.py
the chain of convolutions (ANE-NM-011).
"""

from __future__ import annotations

from mctc.linter.coreml.bounds import FP16_SMALLEST, INF, bounds, is_square, magnitude, power
from mctc.linter.coreml.graph import Op
from mctc.linter.coreml.rule import OpRule, RuleFamily, Severity
from mctc.linter.coreml.rules.converted_wrong import CONVERTED_WRONG
from mctc.linter.coreml.rules.engine_numbers import ENGINE_NUMBERS
from mctc.linter.coreml.rules.lost_constants import LOST_CONSTANTS
from mctc.linter.coreml.rules.numeric_ops import NUMERIC_OPS
from mctc.linter.coreml.rules.out_of_range import OUT_OF_RANGE
from mctc.linter.coreml.rules.overflowing_forms import OVERFLOWING_FORMS, is_log_of_softmax
from mctc.linter.coreml.sources import GUIDE
from mctc.linter.coreml.target import Target
from mctc.linter.coreml.trace import VIEWS, after, behind_views

SQUARE_LIMIT = 256
"""Beyond it a square exceeds what fp16 holds."""
EXP_LIMIT = 11.094
"""Beyond it exp exceeds what fp16 holds."""
MEANS = ("reduce_mean", "reduce_sum", "avg_pool")
BEFORE_ROOT = VIEWS | {"add", "mul", "maximum", "clip"}
ROOTS = ("sqrt", "rsqrt")
SQUARES = ("square", "mul", "pow")
NEAR_ZERO_OPERANDS = {"log": "x", "rsqrt": "x", "inverse": "x", "pow": "x", "real_div": "y"}
EPSILONS = {"log": 1e-45, "rsqrt": 1e-12, "inverse": 1e-4}
"""What MIL adds to the operand where `epsilon` is left out."""


def _norm(op: Op, _: Target) -> str | None:
    if not _squares_for_norm(op) or _is_scaled(op):
        return None
    largest = magnitude(bounds(op, "x"))
    if largest is not None and largest <= SQUARE_LIMIT:
        return None
    return f"the square in a norm overflows fp16 where a value exceeds {SQUARE_LIMIT}"


def _inflated(op: Op, _: Target) -> str | None:
    if not _squares_for_norm(op) or not _is_scaled_by_maximum(op):
        return None
    means = [user for user in op.users() if user.type in MEANS]
    added = next((each for mean in means for each in mean.users() if each.type == "add"), None)
    if added is None:
        return None
    epsilon = next((found for found in map(added.value, "xy") if isinstance(found, float)), None)
    return f"epsilon {epsilon:g} of a norm of scaled values counts times their maximum squared" if epsilon else None


def _squares_for_norm(op: Op) -> bool:
    """Whether an fp16 square goes into a mean or sum that a root is taken of."""
    if not is_square(op) or op.dtype("x") != "fp16":
        return False
    means = [user for user in op.users()[:4] if user.type in MEANS]
    return any(_is_root(each) for mean in means for each in after(mean, BEFORE_ROOT, 8))


def _is_root(op: Op) -> bool:
    return op.type in ROOTS or (op.type == "pow" and power(op) in (-0.5, 0.5))


def _is_scaled(op: Op) -> bool:
    """Whether what is squared was made smaller before: divided, or multiplied by less than one."""
    made = behind_views(op, "x")
    if made is None or is_square(made):
        return False
    if made.type == "real_div":
        divisor = bounds(made, "y") if made.is_constant("y") else None
        return divisor is None or divisor[0] > 1
    return made.type == "mul" and any(_shrinks(made, name) for name in "xy")


def _shrinks(op: Op, operand: str) -> bool:
    maker = op.producer(operand)
    if maker is not None:
        return maker.type in ("inverse", "rsqrt")
    found = magnitude(bounds(op, operand)) if op.is_constant(operand) else None
    return found is not None and found < 1


def _is_scaled_by_maximum(op: Op) -> bool:
    made = behind_views(op, "x")
    if made is None or made.type != "real_div":
        return False
    divisor = behind_views(made, "y")
    return divisor is not None and divisor.type == "reduce_max"


def _exponential(op: Op, _: Target) -> str | None:
    found = bounds(op, "x")
    if op.dtype("x") != "fp16" or found is None or found[1] <= EXP_LIMIT or _is_softplus(op):
        return None
    if found[1] == INF:
        return f"nothing keeps the argument of exp below {EXP_LIMIT}, where fp16 overflows"
    return f"the argument of exp may reach {found[1]:g}; fp16 overflows beyond {EXP_LIMIT}"


def _is_softplus(op: Op) -> bool:
    """A softplus or a sigmoid written out: 1 + exp(x), and then the log or the inverse."""
    added = [user for user in op.users()[:4] if user.type == "add"]
    return any(user.type in ("log", "inverse", "real_div") for each in added for user in each.users()[:4])


def _near_zero(op: Op, _: Target) -> str | None:
    """What is wrong with an operand that may be zero once the engine has flushed it."""
    asked, operand = op, NEAR_ZERO_OPERANDS[op.type]
    if op.type == "real_div":
        root = behind_views(op, "y")
        if root is None or root.type != "sqrt":
            return None
        asked, operand = root, "x"
    if asked.dtype(operand) != "fp16" or is_log_of_softmax(op) or (op.type == "pow" and (power(op) or 0) >= 0):
        return None
    epsilon, low = _epsilon(asked), _lowest(asked, operand)
    if low is None or max(epsilon, epsilon + low) >= FP16_SMALLEST:
        return None
    what = "division by sqrt" if op.type == "real_div" else op.type
    kept = f"what is added, {low:.2g}," if low > 0 else f"epsilon, {epsilon:.2g},"
    return f"{what} near zero: {kept} is below {FP16_SMALLEST:.1e}, which the engine flushes to zero"


def _epsilon(op: Op) -> float:
    found = op.value("epsilon", EPSILONS.get(op.type, 0.0))
    return float(found) if isinstance(found, (int, float)) else 0.0


def _lowest(op: Op, operand: str) -> float | None:
    """How small an operand can get: a constant that was added to what isn't known to be negative counts."""
    found = bounds(op, operand)
    if found is None or found[1] < 0:
        return None
    if found[0] >= 0:
        return found[0]
    made = behind_views(op, operand)
    added = [bounds(made, name) for name in "xy" if made.is_constant(name)] if made and made.type == "add" else []
    return max((each[0] for each in added if each is not None), default=0.0)


SQUARED_NORM = OpRule(
    code="ANE-NM-001",
    name="square-in-norm",
    summary="a norm that squares fp16 values as they are",
    severity=Severity.NUMERICS,
    evidence="AE",
    confidence="H",
    ops=SQUARES,
    why="""
        The square of anything over 256 is more than fp16's 65504; coremltools divides by the largest magnitude first
        for this reason. How large the values get, a file doesn't tell: it is silent where a clip, a sigmoid or a
        division bounds them.
    """,
    fix="Divide by the square root of the width before squaring, or use layer_norm.",
    source="apple/coremltools ops.py (rms_norm), #2821; videlalvaro/ane-book experiment 27",
    find=_norm,
    fires="""
        x: fp16[1, 64, 256]
        s: fp16[1, 64, 256] = square(x=x)
        m: fp16[1, 64, 1] = reduce_mean(x=s, axes=[-1], keep_dims=True)
        e: fp16[1, 64, 1] = add(x=m, y=0.001)
        y: fp16[1, 64, 1] = rsqrt(x=e)
        return y
    """,
    silent="""
        x: fp16[1, 64, 256]
        d: fp16[1, 64, 256] = mul(x=x, y=0.0625)
        s: fp16[1, 64, 256] = square(x=d)
        m: fp16[1, 64, 1] = reduce_sum(x=s, axes=[-1], keep_dims=True)
        e: fp16[1, 64, 1] = add(x=m, y=0.001)
        y: fp16[1, 64, 1] = rsqrt(x=e)
        return y
    """,
)

INFLATED_EPSILON = OpRule(
    code="ANE-NM-001b",
    name="inflated-epsilon",
    summary="a norm of values divided by their maximum, with an epsilon meant for the values themselves",
    severity=Severity.NUMERICS,
    evidence="E",
    confidence="M",
    ops=SQUARES,
    why="""
        Divided by the largest magnitude, a mean of squares is smaller by its square, so epsilon weighs that much more:
        errors of percents were reported. coremltools 9 writes torch's rms_norm this way.
    """,
    fix="Divide epsilon by the maximum squared, or divide by the square root of the width instead.",
    source="apple/coremltools #2821",
    find=_inflated,
    fires="""
        x: fp16[1, 64, 256]
        a: fp16[1, 64, 256] = abs(x=x)
        m: fp16[1, 64, 1] = reduce_max(x=a, axes=[-1], keep_dims=True)
        d: fp16[1, 64, 256] = real_div(x=x, y=m)
        s: fp16[1, 64, 256] = square(x=d)
        n: fp16[1, 64, 1] = reduce_mean(x=s, axes=[-1], keep_dims=True)
        e: fp16[1, 64, 1] = add(x=n, y=0.001)
        y: fp16[1, 64, 1] = sqrt(x=e)
        return y
    """,
    silent="""
        x: fp16[1, 64, 256]
        d: fp16[1, 64, 256] = real_div(x=x, y=16.0)
        s: fp16[1, 64, 256] = square(x=d)
        n: fp16[1, 64, 1] = reduce_mean(x=s, axes=[-1], keep_dims=True)
        e: fp16[1, 64, 1] = add(x=n, y=0.001)
        y: fp16[1, 64, 1] = sqrt(x=e)
        return y
    """,
)

EXPONENTIAL = OpRule(
    code="ANE-NM-002",
    name="exp-overflow",
    summary="exp in fp16 of an argument that nothing keeps small",
    severity=Severity.NUMERICS,
    evidence="C",
    confidence="M",
    ops=("exp",),
    why="""
        exp of more than 11.094 exceeds fp16's 65504. Silent where a maximum is subtracted, the argument is a negation
        or a product with negative constants, or a clip holds it; and where constants can't be read.
    """,
    fix="Subtract the maximum first, or clip the argument.",
    source=f"{GUIDE} part 1 chapter 3",
    find=_exponential,
    fires="""
        x: fp16[1, 64]
        y: fp16[1, 64] = exp(x=x)
        return y
    """,
    silent="""
        x: fp16[1, 64]
        m: fp16[1, 1] = reduce_max(x=x, axes=[-1], keep_dims=True)
        d: fp16[1, 64] = sub(x=x, y=m)
        y: fp16[1, 64] = exp(x=d)
        return y
    """,
)

NEAR_ZERO = OpRule(
    code="ANE-NM-005",
    name="epsilon-too-small",
    summary="a log, inverse, division by a root or negative power in fp16 of what may be zero",
    severity=Severity.NUMERICS,
    evidence="BC",
    confidence="M",
    ops=tuple(NEAR_ZERO_OPERANDS),
    why="""
        ane-guide measured log of 0 as -45440 rather than an infinity; in a vision encoder's norm the mean of small
        squares was flushed to 0 and rsqrt gave an infinity. The smallest normal number of fp16 is 6.1e-05: MIL's own
        epsilons (1e-45 for log, 1e-12 for rsqrt) and the usual 1e-06 are flushed as well.
    """,
    fix="Make epsilon 1e-4, or scale the values up first.",
    source=f"{GUIDE} 03-numerics; john-rocky/CoreML-LLM PROBE_GEMMA4_VISION_ANE.md; jafreck/ironmill",
    find=_near_zero,
    fires="""
        x: fp16[1, 64, 256]
        d: fp16[1, 64, 256] = mul(x=x, y=0.0625)
        s: fp16[1, 64, 256] = square(x=d)
        m: fp16[1, 64, 1] = reduce_sum(x=s, axes=[-1], keep_dims=True)
        e: fp16[1, 64, 1] = add(x=m, y=1e-06)
        y: fp16[1, 64, 1] = rsqrt(x=e)
        return y
    """,
    silent="""
        x: fp16[1, 64, 256]
        d: fp16[1, 64, 256] = mul(x=x, y=0.0625)
        s: fp16[1, 64, 256] = square(x=d)
        m: fp16[1, 64, 1] = reduce_sum(x=s, axes=[-1], keep_dims=True)
        e: fp16[1, 64, 1] = add(x=m, y=0.0001)
        y: fp16[1, 64, 1] = rsqrt(x=e)
        return y
    """,
)

RULES = RuleFamily(
    name="numerics",
    title="Numbers that go wrong on the engine",
    rules=(
        SQUARED_NORM,
        INFLATED_EPSILON,
        EXPONENTIAL,
        NEAR_ZERO,
        *NUMERIC_OPS,
        *LOST_CONSTANTS,
        *OVERFLOWING_FORMS,
        *CONVERTED_WRONG,
        *ENGINE_NUMBERS,
        OUT_OF_RANGE,
    ),
    not_decidable=(
        ("ANE-NM-006", "whether an input or an op gives a NaN (which turns into a large number) depends on the values"),
    ),
)
