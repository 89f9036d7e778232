"""Sums along an axis, places of maxima, remainders and trigonometry, which have no path to the engine."""

from __future__ import annotations

from mctc.linter.coreml.rule import OF_FORM, Effect, OpRule, Severity
from mctc.linter.coreml.rules.runtime_ops import never
from mctc.linter.coreml.sources import FOUR

CUMSUM = OpRule(
    code="ANE-OP-006",
    name="cumsum",
    summary="cumsum never runs on the Neural Engine",
    severity=Severity.ERROR,
    effect=Effect.OFF,
    covers=OF_FORM,
    evidence="B",
    confidence="H",
    ops=("cumsum",),
    why="""
        CPU only on an M4 (macOS 27.0.1), absent from another M4's supported set, refused on an M5; only
        ane-guide found a way, on an M1 and past Core ML.
    """,
    fix="Multiply by a constant triangular matrix of ones.",
    source=FOUR,
    find=never,
    fires="""
        x: fp16[1, 64, 128]
        y: fp16[1, 64, 128] = cumsum(x=x, axis=-1, exclusive=False, reverse=False)
        return y
    """,
    silent="""
        x: fp16[1, 64, 128]
        y: fp16[1, 64, 128] = matmul(x=x, y=fp16[128, 128])
        return y
    """,
)
ARGSORT = OpRule(
    code="ANE-OP-007",
    name="argsort",
    summary="argsort never runs on the Neural Engine",
    severity=Severity.ERROR,
    effect=Effect.OFF,
    covers=OF_FORM,
    evidence="B",
    confidence="H",
    ops=("argsort",),
    why="Its result is int32. CPU only on an M4 (macOS 27.0.1), absent from another M4's set, refused on an M5.",
    fix="Hand the scores out and sort on the host.",
    source=FOUR,
    find=never,
    fires="""
        x: fp16[1, 64]
        y: int32[1, 64] = argsort(x=x, axis=-1, ascending=False)
        return y
    """,
    silent="""
        x: fp16[1, 64]
        y: fp16[1, 1] = reduce_max(x=x, axes=[-1], keep_dims=True)
        return y
    """,
)
ARGMAX = OpRule(
    code="ANE-OP-008",
    name="argmax",
    summary="reduce_argmax and reduce_argmin never run on the Neural Engine",
    severity=Severity.ERROR,
    effect=Effect.OFF,
    covers=OF_FORM,
    evidence="B",
    confidence="H",
    ops=("reduce_argmax", "reduce_argmin"),
    why="""
        Their result is int32: CPU only on an M4 (macOS 27.0.1), absent from another M4's supported set, refused on an
        M5. Past Core ML ane-guide found them native.
    """,
    fix="Hand the scores out and take the maximum on the host; topk with k=1 is contested (ANE-OP-020).",
    source=f"{FOUR}; john-rocky/CoreML-LLM QWEN35_LESSONS.md",
    find=never,
    fires="""
        x: fp16[1, 1024]
        y: int32[1] = reduce_argmax(x=x, axis=-1, keep_dims=False)
        return y
    """,
    silent="""
        x: fp16[1, 1024]
        y: fp16[1] = reduce_max(x=x, axes=[-1], keep_dims=False)
        return y
    """,
)
PROD = OpRule(
    code="ANE-OP-009",
    name="reduce-prod",
    summary="reduce_prod never runs on the Neural Engine",
    severity=Severity.ERROR,
    effect=Effect.OFF,
    covers=OF_FORM,
    evidence="B",
    confidence="H",
    ops=("reduce_prod",),
    why="CPU only on an M4 (macOS 27.0.1), absent from another M4's set, refused on an M5, no path in ane-guide.",
    fix="Take exp of the sum of logarithms where the factors are positive.",
    source=FOUR,
    find=never,
    fires="""
        x: fp16[1, 64, 8]
        y: fp16[1, 64] = reduce_prod(x=x, axes=[-1], keep_dims=False)
        return y
    """,
    silent="""
        x: fp16[1, 64, 8]
        y: fp16[1, 64] = reduce_sum(x=x, axes=[-1], keep_dims=False)
        return y
    """,
)
MOD = OpRule(
    code="ANE-OP-010",
    name="mod",
    summary="mod never runs on the Neural Engine",
    severity=Severity.ERROR,
    effect=Effect.OFF,
    covers=OF_FORM,
    evidence="B",
    confidence="H",
    ops=("mod",),
    why="CPU only on an M4 (macOS 27.0.1), absent from another M4's set, refused on an M5, no path in ane-guide.",
    fix="Write x - floor(x / y) * y.",
    source=FOUR,
    find=never,
    fires="""
        x: fp16[1, 64]
        y: fp16[1, 64] = mod(x=x, y=2.0)
        return y
    """,
    silent="""
        x: fp16[1, 64]
        y: fp16[1, 64] = floor_div(x=x, y=2.0)
        return y
    """,
)
TRIGONOMETRY = OpRule(
    code="ANE-OP-011",
    name="rare-trigonometry",
    summary="acos, asin, atanh, cosh, sinh and tan never run on the Neural Engine",
    severity=Severity.ERROR,
    effect=Effect.OFF,
    covers=OF_FORM,
    evidence="B",
    confidence="H",
    ops=("acos", "asin", "atanh", "cosh", "sinh", "tan"),
    why="""
        CPU only on an M4 (macOS 27.0.1), absent from another M4's supported set, refused on an M5, no path in
        ane-guide; sin, cos and atan do run there on an M4.
    """,
    fix="Use a polynomial, or an identity such as tan = sin / cos.",
    source=FOUR,
    find=never,
    fires="""
        x: fp16[1, 64]
        y: fp16[1, 64] = tan(x=x)
        return y
    """,
    silent="""
        x: fp16[1, 64]
        y: fp16[1, 64] = atan(x=x)
        return y
    """,
)
