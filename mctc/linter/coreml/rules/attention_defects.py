"""Attention that some unit of a Mac or iPhone gets wrong or crashes on (ANE-AT)."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.linter.coreml.forms import axis
from mctc.linter.coreml.graph import FunctionGraph, Op
from mctc.linter.coreml.rule import Effect, FunctionRule, Hit, OpRule, Severity
from mctc.linter.coreml.target import Target
from mctc.linter.coreml.trace import VIEWS, before, behind_views

FUSED = "scaled_dot_product_attention"
SAFE_HEAD = 256
"""Width of a head that was fused without harm; global attention of wider ones wasn't."""
SAFE_BATCH = 9
"""Batch up to which the GPU's own fusion of attention gave the right numbers."""


def _is_wide(op: Op) -> bool:
    query = op.shape("query")
    return op.dtype("query") == "fp16" and query is not None and len(query) > 1 and (query[-1] or 0) > SAFE_HEAD


def _several(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    wide = [op for op in function.of_type(FUSED) if _is_wide(op)]
    if len(wide) > 1:
        yield Hit(f"{len(wide)} fused attentions with heads wider than {SAFE_HEAD} in one function", wide[-1])


def _crash(op: Op, _: Target) -> str | None:
    query = op.shape("query")
    queries = query[-2] if query is not None and len(query) > 1 else None
    if not _is_wide(op) or op.producer("query") is None or queries is None or queries < 2:
        return None
    return f"fused attention of {queries} queries with heads wider than {SAFE_HEAD}: the CPU's code crashed on it"


def _batch(op: Op, _: Target) -> str | None:
    """matmul, softmax, matmul with ten or more in the first axis."""
    softmax = behind_views(op, "x", VIEWS)
    shape = op.shape("x")
    if softmax is None or softmax.type != "softmax" or shape is None or len(shape) < 4 or (shape[0] or 0) <= SAFE_BATCH:
        return None
    scores = softmax.shape("x")
    if scores is None or axis(softmax, -1) != len(scores) - 1:
        return None
    if not any(each.type == "matmul" for each in before(softmax, VIEWS | {"add", "mul", "real_div", "sub", "select"})):
        return None
    return f"attention over a batch of {shape[0]}: with the GPU allowed, its numbers are wrong from {SAFE_BATCH + 1} on"


DOWNSTREAM = "kasper0406/stablehlo-coreml #89 (comment of 2026-08-26)"

SEVERAL = FunctionRule(
    code="ANE-AT-018",
    name="several-wide-attentions",
    summary="two or more fused attentions with heads wider than 256 in one function",
    severity=Severity.WARNING,
    effect=Effect.DOUBT,
    evidence="B",
    confidence="L",
    why="""
        On macOS 26.5 and 26.6 the compiler failed on the segment with the deepest of them ("live input tensor not used
        in network") and the whole model ran on the CPU without a word; with one it compiled. Seen with a Gemma's
        attention over all positions; heads of 256 over a window were fine.
    """,
    fix="Write the attention as matmul, softmax and matmul, or one such layer a function.",
    source=DOWNSTREAM,
    find=_several,
    fires="""
        q: fp16[1, 8, 1, 512]
        k: fp16[1, 8, 1024, 512]
        a: fp16[1, 8, 1, 512] = scaled_dot_product_attention(query=q, key=k, value=k)
        y: fp16[1, 8, 1, 512] = scaled_dot_product_attention(query=a, key=k, value=k)
        return y
    """,
    silent="""
        q: fp16[1, 8, 1, 256]
        k: fp16[1, 8, 1024, 256]
        a: fp16[1, 8, 1, 256] = scaled_dot_product_attention(query=q, key=k, value=k)
        y: fp16[1, 8, 1, 256] = scaled_dot_product_attention(query=a, key=k, value=k)
        return y
    """,
)

CRASH = OpRule(
    code="ANE-AT-019",
    name="fused-attention-crash",
    summary="fused attention in fp16 of two or more queries with heads wider than 256: the CPU crashes",
    severity=Severity.WARNING,
    evidence="B",
    confidence="L",
    ops=(FUSED,),
    why="""
        On macOS 26.5 and 26.6 such an op behind another one ended in a segmentation fault inside
        BNNSGraphContextExecute_v2, with the CPU alone and in what is left to the CPU beside the engine: every prompt
        that is taken in pieces. One query passed, two did not.
    """,
    fix="Write the attention as matmul, softmax and matmul.",
    source=DOWNSTREAM,
    find=_crash,
    fires="""
        x: fp16[1, 8, 2, 512]
        k: fp16[1, 8, 1024, 512]
        q: fp16[1, 8, 2, 512] = mul(x=x, y=0.5)
        y: fp16[1, 8, 2, 512] = scaled_dot_product_attention(query=q, key=k, value=k)
        return y
    """,
    silent="""
        x: fp16[1, 8, 1, 512]
        k: fp16[1, 8, 1024, 512]
        q: fp16[1, 8, 1, 512] = mul(x=x, y=0.5)
        y: fp16[1, 8, 1, 512] = scaled_dot_product_attention(query=q, key=k, value=k)
        return y
    """,
)

BATCH = OpRule(
    code="ANE-AT-020",
    name="batched-attention-on-gpu",
    summary="attention over a batch of 10 or more, which the GPU gets wrong",
    severity=Severity.INFO,
    evidence="B",
    confidence="M",
    ops=("matmul",),
    why="""
        Core ML fuses matmul, softmax and matmul for the GPU, and the fused code gives wrong numbers where the first
        axis has 10 or more (macOS 26.2, coremltools 8.3 and 9.0; windows of a Swin transformer are such a batch). The
        CPU alone and the CPU with the engine are right.
    """,
    fix="Load the model with CPU_AND_NE, or split the batch into parts of at most 9.",
    source="apple/coremltools #2650",
    find=_batch,
    fires="""
        q: fp16[10, 4, 49, 32]
        k: fp16[10, 4, 32, 49]
        v: fp16[10, 4, 49, 32]
        s: fp16[10, 4, 49, 49] = matmul(x=q, y=k)
        p: fp16[10, 4, 49, 49] = softmax(x=s, axis=-1)
        y: fp16[10, 4, 49, 32] = matmul(x=p, y=v)
        return y
    """,
    silent="""
        q: fp16[9, 4, 49, 32]
        k: fp16[9, 4, 32, 49]
        v: fp16[9, 4, 49, 32]
        s: fp16[9, 4, 49, 49] = matmul(x=q, y=k)
        p: fp16[9, 4, 49, 49] = softmax(x=s, axis=-1)
        y: fp16[9, 4, 49, 32] = matmul(x=p, y=v)
        return y
    """,
)

DEFECT_RULES = (SEVERAL, CRASH, BATCH)
