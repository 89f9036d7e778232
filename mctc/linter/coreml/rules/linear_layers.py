"""Linear layers, and products by their size."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.linter.coreml.forms import rank
from mctc.linter.coreml.graph import Op
from mctc.linter.coreml.placement import Eligible, Placement, Predicted
from mctc.linter.coreml.rule import Effect, Hit, OpRule, PlacementRule, Severity, Sides
from mctc.linter.coreml.sources import DISPATCH, GUIDE, NEURAL_ENGINE_RULES
from mctc.linter.coreml.target import Target

WIDE_RESULT = 16384
TINY_PRODUCTS = ("matmul", "linear", "conv", "conv_transpose", "einsum")
TINY_FLOPS = 2 * 30**3
"""Operations of a product of two matrices of 30x30."""


def _linear_rank(op: Op, _: Target) -> str | None:
    found = rank(op.shape("x"))
    return f"a linear layer over a tensor of rank {found}" if found >= 5 else None


def _linear(op: Op, _: Target) -> str | None:
    return "a linear layer; Apple recommends a convolution of 1x1" if op.is_constant("weight") else None


def _wide(op: Op, _: Target) -> str | None:
    shape = (op.result.shape if op.result is not None else None) or ()
    place = 1 if op.type == "conv" else len(shape) - 1
    extent = shape[place] if 0 <= place < len(shape) else None
    if extent is None or extent <= WIDE_RESULT or not op.is_constant("y" if op.type == "matmul" else "weight"):
        return None
    return f"{op.type} to {extent} outputs in one piece"


def _tiny(placement: Placement, _: Target) -> Iterator[Hit]:
    if any(place is not Predicted.CPU for place in placement.predicted):
        return
    for op, eligible, cost in zip(placement.function.ops, placement.eligible, placement.costs):
        if op.type in TINY_PRODUCTS and eligible is not Eligible.NO and 0 < cost.flops <= TINY_FLOPS:
            yield Hit(f"{op.type} of {cost.flops} operations: too small to bring the graph to the engine", op)


LINEAR = (
    OpRule(
        code="ANE-MM-004",
        name="linear-of-rank-5",
        summary="a linear layer over a tensor of rank 5",
        severity=Severity.WARNING,
        effect=Effect.DOUBT,
        evidence="D",
        confidence="M",
        ops=("linear",),
        why="""
                The compiler holds a message that refuses linear layers of rank 5 and more.
            """,
        fix="""
                Reshape to rank 4 or less in front of the layer.
            """,
        source=f"{GUIDE} chapter 17",
        find=_linear_rank,
        fires="""
                x: fp16[1, 2, 4, 8, 64]
                y: fp16[1, 2, 4, 8, 32] = linear(x=x, weight=fp16[32, 64], bias=fp16[32])
                return y
            """,
        silent="""
                x: fp16[2, 4, 8, 64]
                y: fp16[2, 4, 8, 32] = linear(x=x, weight=fp16[32, 64], bias=fp16[32])
                return y
            """,
    ),
    OpRule(
        code="ANE-MM-005",
        name="linear-not-convolution",
        summary="a linear layer with constant weights, where a 1x1 convolution would do",
        severity=Severity.INFO,
        evidence="AB",
        confidence="L",
        ops=("linear",),
        sides=Sides(
            stays=f"{DISPATCH}: linear, matmul and conv are all placed on an M4; the author of "
            "kasper0406/stablehlo-coreml finds the same",
            leaves=f"{NEURAL_ENGINE_RULES}: a linear layer may fall back to the CPU",
        ),
        why="""
                Apple prefers 1x1 convolutions, and on a private path of an M4 they ran about 3 times as fast as matmul
                (maderix). Through Core ML an M4 (macOS 27.0.1) places linear layers on the engine, so there is nothing
                to mend before it was measured.
            """,
        fix="""
                Measure; where it helps, write the layer as a convolution over (batch, channels, 1, positions).
            """,
        source=f"{NEURAL_ENGINE_RULES}, Conv2d instead of Linear; maderix/ANE; {DISPATCH}",
        find=_linear,
        fires="""
                x: fp16[1, 16, 64]
                y: fp16[1, 16, 32] = linear(x=x, weight=fp16[32, 64], bias=fp16[32])
                return y
            """,
        silent="""
                x: fp16[1, 64, 1, 16]
                y: fp16[1, 32, 1, 16] = conv(x=x, weight=fp16[32, 64, 1, 1], bias=fp16[32])
                return y
            """,
    ),
    OpRule(
        code="ANE-MM-006",
        name="wide-result",
        summary="a product with more than 16384 outputs, such as the head of a language model",
        severity=Severity.INFO,
        evidence="B",
        confidence="L",
        ops=("conv", "linear", "matmul"),
        sides=Sides(
            stays="john-rocky/CoreML-LLM: one convolution from 2304 to 262144 is best, 16 parts lose 4.6 %; "
            "videlalvaro/ane-book journal 048: 3 to 8 parts are within 2 %",
            leaves="Anemll splits at 16384; pytorch/executorch splits at 1024",
        ),
        why="""
                Sources disagree whether to split such a product, and the two that measured (iPhone 17 Pro, M4 Max)
                found nothing to gain.
            """,
        fix="""
                Measure; split for certain only where one part would exceed 1 GB.
            """,
        source="Anemll agent.md; pytorch/executorch llama readme; john-rocky/CoreML-LLM REJECTED_APPROACHES.md",
        find=_wide,
        fires="""
                x: fp16[1, 64, 1, 1]
                y: fp16[1, 16385, 1, 1] = conv(x=x, weight=fp16[16385, 64, 1, 1], pad_type="valid")
                return y
            """,
        silent="""
                x: fp16[1, 64, 1, 1]
                y: fp16[1, 16384, 1, 1] = conv(x=x, weight=fp16[16384, 64, 1, 1], pad_type="valid")
                return y
            """,
    ),
    PlacementRule(
        code="ANE-MM-007",
        name="tiny-product",
        summary="a product of about 30x30 in a graph that stays on the CPU",
        severity=Severity.INFO,
        evidence="B",
        confidence="H",
        why="""
                Entering and leaving the engine costs 0.25 ms in the segmenter's account (M4, macOS 27.0.1), and a
                product of this size saves less than a thousandth of that. A matmul of 4x4 was seen to prefer the CPU.
            """,
        fix="""
                Nothing, if the model is fast enough; else put more work into one model.
            """,
        source=f"{DISPATCH}, section 2.3; vx-lang/Vx #436",
        find=_tiny,
        fires="""
                x: fp16[30, 30]
                y: fp16[30, 30] = matmul(x=x, y=fp16[30, 30], transpose_x=False, transpose_y=False)
                return y
            """,
        silent="""
                x: fp16[32, 32]
                y: fp16[32, 32] = matmul(x=x, y=fp16[32, 32], transpose_x=False, transpose_y=False)
                return y
            """,
    ),
)
