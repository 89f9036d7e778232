"""Functions in a form that leaves the range of fp16 where the function itself doesn't (ANE-NM)."""

from __future__ import annotations

import math

from mctc.linter.coreml.bounds import FP16_LARGEST, INF, bounds, is_square
from mctc.linter.coreml.graph import Op
from mctc.linter.coreml.rule import OpRule, Severity
from mctc.linter.coreml.target import Target
from mctc.linter.coreml.trace import VIEWS, behind_views

SOFTPLUS_LIMIT = 10.4
"""Where softplus fell to 0 on the engine; exp alone overflows at 11.09."""
EXACT_INTEGERS = 2048
"""Up to here fp16 holds every whole number."""
WHOLE_NUMBERS = ("bool", "int8", "uint8", "int16", "uint16", "int32")


def _softplus(op: Op, _: Target) -> str | None:
    found = bounds(op, "x")
    if op.dtype("x") != "fp16" or found is None or found[1] <= SOFTPLUS_LIMIT or _is_mended(op):
        return None
    if found[1] == INF:
        return f"nothing keeps the argument of {op.type} below {SOFTPLUS_LIMIT}, from where on the engine gives 0"
    return f"the argument of {op.type} may reach {found[1]:g}; from {SOFTPLUS_LIMIT} on the engine gives 0"


def _is_mended(op: Op) -> bool:
    """Whether all that uses a softplus is its maximum with its own argument."""
    users = op.users()
    return bool(users) and all(
        each.type == "maximum" and op.bindings("x") in (each.bindings("x"), each.bindings("y")) for each in users
    )


def _log_sum_exp(op: Op, _: Target) -> str | None:
    found, count = bounds(op, "x"), _reduced(op)
    limit = math.log(FP16_LARGEST / max(count or 1, 1))
    if op.dtype("x") != "fp16" or found is None or found[1] <= limit:
        return None
    over = f" over {count}" if count else ""
    return f"reduce_log_sum_exp{over}: from {limit:.3g} on the sum of exponentials overflows and the engine gives 0"


def _reduced(op: Op) -> int | None:
    """Elements that a reduction takes together; None where the file doesn't say."""
    shape = op.shape("x")
    if shape is None:
        return None
    axes = op.numbers("axes") or op.numbers("axis") or tuple(range(len(shape)))
    extents = [shape[axis] for axis in axes if -len(shape) <= axis < len(shape)]
    return None if None in extents else math.prod(extent or 0 for extent in extents)


def is_log_of_softmax(op: Op) -> bool:
    """Whether an op takes the logarithm of probabilities as a softmax gives them."""
    made = behind_views(op, "x") if op.type == "log" else None
    return made is not None and made.type == "softmax"


def _log_softmax(op: Op, _: Target) -> str | None:
    if op.dtype("x") != "fp16" or not is_log_of_softmax(op):
        return None
    return "log of softmax: probabilities below 6.1e-05 are 0, their logarithm isn't finite"


def _variance(op: Op, _: Target) -> str | None:
    """mean(x^2) - mean(x)^2 of one x."""
    mean, squared = behind_views(op, "x"), behind_views(op, "y")
    if op.dtype("x") != "fp16" or mean is None or squared is None or mean.type != "reduce_mean":
        return None
    inside, outside = behind_views(mean, "x"), behind_views(squared, "x")
    if inside is None or outside is None or not is_square(inside) or not is_square(squared):
        return None
    if outside.type != "reduce_mean" or inside.bindings("x") != outside.bindings("x"):
        return None
    return "a variance as mean(x^2) - mean(x)^2: the squares overflow and the difference cancels"


def _count(op: Op, _: Target) -> str | None:
    made, many = behind_views(op, "x", VIEWS - {"cast"}), _reduced(op)
    if made is None or made.type != "cast" or made.dtype("x") not in WHOLE_NUMBERS or op.dtype("x") != "fp16":
        return None
    if many is None or many <= EXACT_INTEGERS:
        return None
    return f"{op.type} in fp16 counts up to {many}: over {EXACT_INTEGERS} every second number is missing"


SOFTPLUS = OpRule(
    code="ANE-NM-016",
    name="softplus-overflow",
    summary="softplus in fp16 of an argument that nothing keeps below 10.4",
    severity=Severity.NUMERICS,
    evidence="BC",
    confidence="H",
    ops=("softplus", "softplus_parametric"),
    why="""
        The engine computes log(1 + exp(x)) as it is written: from 10.4 on the result is 0 instead of x (M4 with
        coremltools 9; past Core ML on an M5). Mish, x tanh(softplus(x)), falls to 0 likewise. CPU and GPU are right.
        An M2 Pro did not take the op to the engine in any shape that was tried. How large the values get, a file
        doesn't tell.
    """,
    fix="""
        Take the maximum of softplus(x) and x, as mctc's own packages do: softplus(x) is never less than x, so nothing
        else changes. coremltools' open requests write max(x, 0) + log(1 + exp(-|x|)), which rounds small results
        coarsely in fp16.
    """,
    source="apple/coremltools #2687, #2725, #2747, #2814; sbryngelson/ANEForge #113",
    find=_softplus,
    fires="""
        x: fp16[1, 64]
        y: fp16[1, 64] = softplus(x=x)
        return y
    """,
    silent="""
        x: fp16[1, 64]
        s: fp16[1, 64] = softplus(x=x)
        y: fp16[1, 64] = maximum(x=s, y=x)
        return y
    """,
)

LOG_SUM_EXP = OpRule(
    code="ANE-NM-017",
    name="log-sum-exp-overflow",
    summary="reduce_log_sum_exp in fp16 of values that nothing keeps small",
    severity=Severity.NUMERICS,
    evidence="B",
    confidence="M",
    ops=("reduce_log_sum_exp",),
    why="""
        The engine adds exponentials without taking the maximum off first: over 32 channels the result dropped from 11.1
        to 0 at 7.63, where 32 exp(x) leaves fp16 (M1 to M4 are named). CPU and GPU are right. rustnn writes the op out
        for Core ML for the same reason.
    """,
    fix="Write max + log(sum(exp(x - max))) with ops of its own.",
    source="apple/coremltools #2690, #2726; rustnn/rustnn #213",
    find=_log_sum_exp,
    fires="""
        x: fp16[1, 32, 8, 8]
        y: fp16[1, 1, 8, 8] = reduce_log_sum_exp(x=x, axes=[1], keep_dims=True)
        return y
    """,
    silent="""
        x: fp16[1, 32, 8, 8]
        c: fp16[1, 32, 8, 8] = clip(x=x, alpha=-60000.0, beta=7.5)
        y: fp16[1, 1, 8, 8] = reduce_log_sum_exp(x=c, axes=[1], keep_dims=True)
        return y
    """,
)

LOG_SOFTMAX = OpRule(
    code="ANE-NM-018",
    name="log-of-softmax",
    summary="the logarithm of a softmax in fp16",
    severity=Severity.NUMERICS,
    evidence="BM",
    confidence="M",
    ops=("log",),
    why="""
        A probability below 6.1e-05 is flushed to 0, and its logarithm is -inf or -45440: every class but the strongest
        is lost where one leads by 10. coremltools 9 writes torch's log_softmax this way, so beam search and rescoring
        get numbers that say nothing; the largest stays right.
    """,
    fix="Return the scores and take log_softmax on the host, or write x - max - log(sum(exp(x - max))).",
    source="apple/coremltools #2728, #2727, #2763",
    find=_log_softmax,
    fires="""
        x: fp16[1, 1000]
        p: fp16[1, 1000] = softmax(x=x, axis=-1)
        y: fp16[1, 1000] = log(x=p)
        return y
    """,
    silent="""
        x: fp16[1, 1000]
        m: fp16[1, 1] = reduce_max(x=x, axes=[-1], keep_dims=True)
        d: fp16[1, 1000] = sub(x=x, y=m)
        e: fp16[1, 1000] = exp(x=d)
        s: fp16[1, 1] = reduce_sum(x=e, axes=[-1], keep_dims=True)
        l: fp16[1, 1] = log(x=s)
        y: fp16[1, 1000] = sub(x=d, y=l)
        return y
    """,
)

VARIANCE = OpRule(
    code="ANE-NM-019",
    name="one-pass-variance",
    summary="a variance as the mean of squares less the square of the mean, in fp16",
    severity=Severity.NUMERICS,
    evidence="C",
    confidence="M",
    ops=("sub",),
    why="""
        On the engine, of values with a spread of 1 around 5 the normalised result was off by 0.05 (0.005 with the mean
        taken off first), and around 50 it was infinite. The difference can come out negative.
    """,
    fix="Subtract the mean first and take the mean of the squares of what is left, or use layer_norm.",
    source="sbryngelson/ANEForge #263",
    find=_variance,
    fires="""
        x: fp16[1, 64, 256]
        s: fp16[1, 64, 256] = square(x=x)
        a: fp16[1, 64, 1] = reduce_mean(x=s, axes=[-1], keep_dims=True)
        m: fp16[1, 64, 1] = reduce_mean(x=x, axes=[-1], keep_dims=True)
        b: fp16[1, 64, 1] = square(x=m)
        y: fp16[1, 64, 1] = sub(x=a, y=b)
        return y
    """,
    silent="""
        x: fp16[1, 64, 256]
        m: fp16[1, 64, 1] = reduce_mean(x=x, axes=[-1], keep_dims=True)
        d: fp16[1, 64, 256] = sub(x=x, y=m)
        s: fp16[1, 64, 256] = square(x=d)
        y: fp16[1, 64, 1] = reduce_mean(x=s, axes=[-1], keep_dims=True)
        return y
    """,
)

COUNT = OpRule(
    code="ANE-NM-020",
    name="inexact-count",
    summary="more than 2048 flags or whole numbers are added up in fp16",
    severity=Severity.NUMERICS,
    evidence="CM",
    confidence="H",
    ops=("reduce_sum", "cumsum"),
    why="""
        fp16 holds every whole number up to 2048, and only even ones up to 4096: a length that is the sum of a mask is
        off by one or more. On the engine a sum of 2048 read 2050.
    """,
    fix="Count in int32 on the host, pass the length in, or add up parts of at most 2048 and join them as int32.",
    source="sbryngelson/ANEForge #115, #178",
    find=_count,
    fires="""
        m: bool[1, 3000]
        f: fp16[1, 3000] = cast(x=m, dtype="fp16")
        y: fp16[1] = reduce_sum(x=f, axes=[-1], keep_dims=False)
        return y
    """,
    silent="""
        m: bool[1, 2048]
        f: fp16[1, 2048] = cast(x=m, dtype="fp16")
        y: fp16[1] = reduce_sum(x=f, axes=[-1], keep_dims=False)
        return y
    """,
)

OVERFLOWING_FORMS = (SOFTPLUS, LOG_SUM_EXP, LOG_SOFTMAX, VARIANCE, COUNT)
