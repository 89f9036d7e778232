"""Quantised activations."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.linter.coreml.forms import CONVOLUTIONS
from mctc.linter.coreml.graph import FunctionGraph, Op
from mctc.linter.coreml.packed import WEIGHTED
from mctc.linter.coreml.rule import Effect, FunctionRule, Hit, OpRule, Severity, Sides
from mctc.linter.coreml.target import Target


def _activation(op: Op, target: Target) -> str | None:
    if op.is_constant("input"):
        return None
    family = target.family
    gain = (
        "may be faster, or not compile" if family.int8_compute else f"nothing to gain, {family.name} has no int8 path"
    )
    return f"{op.type} of an activation: {gain}"


def _part_of_chain(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    products = [op for op in function.of_type(*WEIGHTED) if _has_weight(op)]
    inside = sum(any(maker.type == "dequantize" for maker in op.producers()) for op in products)
    if 0 < inside < len(products):
        yield Hit(f"{inside} of {len(products)} convolutions and products take quantised activations")


def _has_weight(op: Op) -> bool:
    """Whether an op has a constant weight; one whose weight is quantised at run time has none to speak of."""
    if op.type in (*CONVOLUTIONS, "linear"):
        return op.is_constant("weight")
    return op.is_constant("x") or op.is_constant("y")


ACTIVATIONS = (
    OpRule(
        code="ANE-QT-009",
        name="quantised-activation",
        summary="activations are quantised: faster, slower or refused, depending on chip and graph",
        severity=Severity.WARNING,
        effect=Effect.DOUBT,
        evidence="AB",
        confidence="M",
        ops=("quantize", "dequantize"),
        why="""
                From A17 Pro and M4 on the engine multiplies int8 by int8, up to 1.9 times as fast in long chains; small
                work stays on the CPU (32x64 all there, 1024x1024 all on the engine). On an iPhone 17 Pro the compiler
                refused such ops.
            """,
        fix="Quantise long chains of large convolutions only, and try it on every device.",
        source=(
            "coremltools docs-guides opt-quantization-perf.md:11-15; maderix README; "
            "cadamcat/llms-on-apple-neural-engine; 751K defects.md B4; john-rocky/CoreML-LLM EXPERIMENTS.md:86, "
            "HANDOFF.md:54"
        ),
        sides=Sides(
            stays=(
                "Apple: a faster path from A17 Pro and M4 on; maderix 1.88 times on an M4 (past Core ML); "
                "cadamcat 1.86 times on an M5 Pro (Core AI); 751K 0.97 to 2 times on an M6"
            ),
            leaves=(
                "CoreML-LLM: ANECCompile fails on an iPhone 17 Pro, 0 % on the engine of an M4 Max; cadamcat: "
                "small layers all on the CPU"
            ),
        ),
        find=_activation,
        fires="""
                x: fp16[1, 64, 32, 32]
                q: int8[1, 64, 32, 32] = quantize(input=x, scale=fp16(0.5), output_dtype="int8")
                d: fp16[1, 64, 32, 32] = dequantize(input=q, scale=fp16(0.5))
                y: fp16[1, 64, 32, 32] = conv(x=d, weight=fp16[64, 64, 3, 3], pad_type="same")
                return y
            """,
        silent="""
                x: fp16[1, 64, 32, 32]
                w: fp16[64, 64, 3, 3] = dequantize(input=int8[64, 64, 3, 3], scale=fp16(0.5))
                y: fp16[1, 64, 32, 32] = conv(x=x, weight=w, pad_type="same")
                return y
            """,
    ),
    FunctionRule(
        code="ANE-QT-010",
        name="chain-quantised-in-part",
        summary="some convolutions and products take quantised activations, others not",
        severity=Severity.PERFORMANCE,
        evidence="B",
        confidence="M",
        why="""
                What int8 arithmetic gains, a whole chain gains: each change between int8 and fp16 costs a pass over the
                tensor. Which ops make one chain is not looked at here, only whether all of a function are in.
            """,
        fix="Quantise the chain from end to end, or leave it.",
        source="751K/Apple-Neural-Engine-Microarchitecture-Study-M6 maderix_summary",
        find=_part_of_chain,
        fires="""
                x: fp16[1, 64, 32, 32]
                q: int8[1, 64, 32, 32] = quantize(input=x, scale=fp16(0.5), output_dtype="int8")
                d: fp16[1, 64, 32, 32] = dequantize(input=q, scale=fp16(0.5))
                y: fp16[1, 64, 32, 32] = conv(x=d, weight=fp16[64, 64, 3, 3], pad_type="same")
                z: fp16[1, 64, 32, 32] = conv(x=y, weight=fp16[64, 64, 3, 3], pad_type="same")
                return z
            """,
        silent="""
                x: fp16[1, 64, 32, 32]
                q: int8[1, 64, 32, 32] = quantize(input=x, scale=fp16(0.5), output_dtype="int8")
                d: fp16[1, 64, 32, 32] = dequantize(input=q, scale=fp16(0.5))
                y: fp16[1, 64, 32, 32] = conv(x=d, weight=fp16[64, 64, 3, 3], pad_type="same")
                p: int8[1, 64, 32, 32] = quantize(input=y, scale=fp16(0.5), output_dtype="int8")
                e: fp16[1, 64, 32, 32] = dequantize(input=p, scale=fp16(0.5))
                z: fp16[1, 64, 32, 32] = conv(x=e, weight=fp16[64, 64, 3, 3], pad_type="same")
                return z
            """,
    ),
)
