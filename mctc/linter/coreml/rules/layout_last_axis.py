"""What stands on the last axis, and what moves it."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.linter.coreml.forms import PRODUCTS, axes, dilations, enters, kernel, leaves, rank, strides
from mctc.linter.coreml.graph import FunctionGraph, Op, tensor_bytes
from mctc.linter.coreml.rule import FunctionRule, Hit, OpRule, Severity
from mctc.linter.coreml.target import Target

PAGE = 4096
"""Bytes below which a tensor is too small to speak of."""
LINEARS = 4
POSITIONS = 64
FOLD = 8


def _rank_three_body(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    products = function.of_type(*PRODUCTS)
    linears = [op for op in products if _is_linear_on_three_axes(op)]
    if len(linears) >= LINEARS and 2 * len(linears) > len(products):
        yield Hit(f"{len(linears)} of {len(products)} products multiply (B, S, C) by a constant, not (B, C, 1, S)")


def _is_linear_on_three_axes(op: Op) -> bool:
    if op.type == "linear":
        return rank(op.shape("x")) == 3
    return op.type == "matmul" and op.has("y") and op.is_constant("y") and rank(op.shape("x")) == 3


def _relayout(op: Op, _: Target) -> str | None:
    before, after = op.shape("x"), op.result.shape if op.result is not None else None
    if not before or not after or before[-1] is None or after[-1] is None or before[-1] == after[-1] == 1:
        return None
    changed = before[-1] != after[-1]
    if op.type == "transpose":
        perm = axes(op, "perm")
        changed = len(perm) == len(before) and perm[-1] != len(before) - 1
    if not changed or not _between(op) or op.result is None or tensor_bytes(op.result) < PAGE:
        return None
    return f"{op.type} changes the last axis, from {before[-1]} to {after[-1]}, between other ops"


def _between(op: Op) -> bool:
    """Whether an op stands between others, casts at the edges of the program not counted."""
    maker, users = op.producer("x"), op.users()
    return maker is not None and not enters(maker) and any(not leaves(user) for user in users)


def _long_rows(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    found = [op for op in function.of_type("conv") if _works_on_one_row(op)]
    if len(found) > 1:
        positions = max((op.shape("x") or (0,))[-1] or 0 for op in found)
        yield Hit(f"{len(found)} convolutions of 1x1 work on one row of up to {positions} positions")


def _works_on_one_row(op: Op) -> bool:
    """A 1x1 convolution over (B, C, 1, S) that could as well work on (B, C, S/8, 8)."""
    shape = op.shape("x") or ()
    plain = {*kernel(op), *strides(op), *dilations(op)} == {1}
    if not plain or len(shape) != 4 or shape[2] != 1 or shape[3] is None:
        return False
    return shape[3] >= POSITIONS and shape[3] % FOLD == 0


LAST_AXIS = (
    FunctionRule(
        code="ANE-LY-004",
        name="rank-three-body",
        summary="most products are linear layers on (B, S, C)",
        severity=Severity.PERFORMANCE,
        evidence="AB",
        confidence="M",
        why="""
            Apple's first principle for transformers is (B, C, 1, S) and 1x1 convolutions. Against it: rewriting SigLIP
            so gained 10 to 13 % on an M4 Pro and made the GPU slower.
        """,
        fix="Keep activations as (B, C, 1, S) and write linear layers as 1x1 convolutions; measure before and after.",
        source="machinelearning.apple.com/research/neural-engine-transformers; erwinzhang7/coreml-compute-placement",
        find=_rank_three_body,
        fires="""
            x: fp16[1, 64, 128]
            for _ in range(4):
                x: fp16[1, 64, 128] = linear(x=x, weight=fp16[128, 128], bias=fp16[128])
            return x
        """,
        silent="""
            x: fp16[1, 64, 128]
            for _ in range(3):
                x: fp16[1, 64, 128] = linear(x=x, weight=fp16[128, 128], bias=fp16[128])
            return x
        """,
    ),
    OpRule(
        code="ANE-LY-005",
        name="last-axis-changed",
        summary="a reshape or transpose changes the last axis in the middle of the program",
        severity=Severity.PERFORMANCE,
        evidence="A",
        confidence="H",
        ops=("reshape", "transpose"),
        why="""
            Such a change lays the whole tensor out anew, which Apple calls especially expensive. Tensors of less than 4
            KiB aren't counted.
        """,
        fix="Keep the last axis as it is; an einsum such as bchq,bkhc->bkhq needs no transpose.",
        source="Apple neural_engine_rules.md (Avoid unnecessary memory copies)",
        find=_relayout,
        fires="""
            x: fp16[1, 64, 128]
            a: fp16[1, 64, 128] = relu(x=x)
            b: fp16[1, 64, 2, 64] = reshape(x=a, shape=[1, 64, 2, 64])
            y: fp16[1, 64, 2, 64] = relu(x=b)
            return y
        """,
        silent="""
            x: fp16[1, 64, 128]
            a: fp16[1, 64, 128] = relu(x=x)
            b: fp16[1, 64, 1, 128] = reshape(x=a, shape=[1, 64, 1, 128])
            c: fp16[1, 1, 64, 128] = transpose(x=b, perm=[0, 2, 1, 3])
            y: fp16[1, 1, 64, 128] = relu(x=c)
            return y
        """,
    ),
    FunctionRule(
        code="ANE-LY-006",
        name="one-row-convolutions",
        summary="1x1 convolutions work on one long row",
        severity=Severity.PERFORMANCE,
        evidence="E",
        confidence="L",
        why="""
            One user ran the 1x1 convolutions of an MLP about 50 % faster on (B, C, 8, 8) than on (B, C, 1, 64). The
            file doesn't say whether the ops around them bear that shape.
        """,
        fix="Fold the row into 8x8 for runs of 1x1 convolutions and elementwise ops, and measure.",
        source="smpanaro/coreml-llm-cli",
        find=_long_rows,
        fires="""
            x: fp16[1, 64, 1, 64]
            a: fp16[1, 256, 1, 64] = conv(x=x, weight=fp16[256, 64, 1, 1])
            b: fp16[1, 256, 1, 64] = silu(x=a)
            y: fp16[1, 64, 1, 64] = conv(x=b, weight=fp16[64, 256, 1, 1])
            return y
        """,
        silent="""
            x: fp16[1, 64, 8, 8]
            a: fp16[1, 256, 8, 8] = conv(x=x, weight=fp16[256, 64, 1, 1])
            b: fp16[1, 256, 8, 8] = silu(x=a)
            y: fp16[1, 64, 8, 8] = conv(x=b, weight=fp16[64, 256, 1, 1])
            return y
        """,
    ),
)
