"""Compressed weights (ANE-QT): scales and zero points; palettes are in compression_palettes.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mctc.linter.coreml.graph import FunctionGraph, Op, elements
from mctc.linter.coreml.packed import AFFINE, BLOCKS, WEIGHTED, Packed, counted, find_packed, packed, packed_weights
from mctc.linter.coreml.rule import Effect, FunctionRule, Hit, OpRule, RuleFamily, Severity, Sides
from mctc.linter.coreml.rules.compression_activations import ACTIVATIONS
from mctc.linter.coreml.rules.compression_palettes import PALETTES
from mctc.linter.coreml.target import Target
from mctc.package.dtypes import DTYPES

FOUR_BITS = ("int4", "uint4")
EIGHT_BITS = ("int8", "uint8")
MOST_ZERO_POINTS = 1 << 16
OFF_CENTRE = "zero points off the middle"
OFFSETS = {AFFINE: "zero_point", **dict.fromkeys(BLOCKS, "offset")}


def _blocks(weight: Packed) -> str | None:
    if weight.op.type == "conv_transpose":
        return None
    for step in weight.chain:
        if step.type not in BLOCKS:
            continue
        counts = weight.blocks(step)
        for axis in weight.contracted:
            if counts[axis] > 1:
                size = max(1, weight.shape[axis] // counts[axis])
                return f"{counts[axis]} blocks of {size} with their own scales along the contracted axis"
    return None


def _of_width(function: FunctionGraph, dtypes: tuple[str, ...]) -> int:
    """How many ops take a weight of integers of these types, with one scale a channel or one in all, and no palette."""
    found = 0
    for weight in packed_weights(function):
        integers = weight.integers
        found += integers is not None and integers[1] in dtypes and weight.palette is None and weight.per_channel
    return found


def _four_bits(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    if count := _of_width(function, FOUR_BITS):
        yield Hit(f"{counted(count)} of 4 bits with a scale for each output channel, the form to use")


def _eight_bits(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    if count := _of_width(function, EIGHT_BITS):
        yield Hit(f"{counted(count)} of 8 bits: smaller on disk, not faster on the engine")


def _asymmetric(op: Op, _: Target) -> str | None:
    if op.type not in WEIGHTED:
        return f"{op.type} of an activation with {OFF_CENTRE}" if _is_off_centre(op, "zero_point") else None
    weight = packed(op)
    steps = weight.chain if weight is not None else ()
    found = any(step.type in OFFSETS and _is_off_centre(step, OFFSETS[step.type]) for step in steps)
    return f"a weight with {OFF_CENTRE}" if found else None


def _is_off_centre(op: Op, operand: str) -> bool:
    """Whether a zero point is neither 0 nor the middle of an unsigned type; not for one that can't be read.

    The middle of 16 values is 8 or, where the lowest or highest value is left out as coremltools does, 7.
    """
    constant = op.constant(operand)
    dtype = op.dtype(operand)
    if constant is None or dtype not in DTYPES or elements(constant.type) > MOST_ZERO_POINTS:
        return False
    row = DTYPES[dtype]
    half = 0 if row.signed or row.is_float else 1 << max(0, row.bits - 1)
    return any(point not in (0, half, half - 1 if half else 0) for point in _numbers(op.value(operand)))


def _numbers(value: Any) -> list[float]:
    ravel = getattr(value, "ravel", None)
    found = ravel().tolist() if ravel is not None else [value]
    return [float(each) for each in found if isinstance(each, (int, float))]


RULES = RuleFamily(
    name="compression",
    title="Compressed weights",
    rules=(
        OpRule(
            code="ANE-QT-001",
            name="scales-in-blocks",
            summary="a weight has more than one scale along the axis that is summed over",
            severity=Severity.ERROR,
            effect=Effect.OFF,
            evidence="BA",
            confidence="H",
            ops=WEIGHTED,
            why="""
                The engine's compiler takes scales for each output channel or for the whole tensor. Blocks were placed
                on the CPU alone on an M5 Pro, and all of 97, 12 and 8 convolutions of three models on an M4 Max; with a
                palette besides, an iPhone gave error -14. One model of 24 layers with states had all 97 on the engine.
                Past Core ML, an M5 streams such weights.
            """,
            fix="One scale for each output channel (granularity per_channel), or a palette of grouped channels.",
            source=(
                "coremltools #2510 (text of the compiler); cadamcat/llms-on-apple-neural-engine findings/"
                "coreml-grouped-scale-cpu; videlalvaro/ane-book research/INT4_SHARD_ANE_BUG.md; ExecuTorch llama "
                "readme:77; apple/coreai-models #279; 751K data/05_compute/wfmt/wfmt.txt"
            ),
            find=find_packed(_blocks),
            fires="""
                x: fp16[1, 64, 1, 64]
                w: fp16[128, 64, 1, 1] = constexpr_blockwise_shift_scale(
                    data=int4[128, 64, 1, 1], scale=fp16[128, 2, 1, 1])
                y: fp16[1, 128, 1, 64] = conv(x=x, weight=w, strides=[1, 1], pad_type="valid", groups=1)
                return y
            """,
            silent="""
                x: fp16[1, 64, 1, 64]
                w: fp16[128, 64, 1, 1] = constexpr_blockwise_shift_scale(
                    data=int4[128, 64, 1, 1], scale=fp16[128, 1, 1, 1])
                y: fp16[1, 128, 1, 64] = conv(x=x, weight=w, strides=[1, 1], pad_type="valid", groups=1)
                return y
            """,
        ),
        FunctionRule(
            code="ANE-QT-002",
            name="four-bit-channels",
            summary="weights of 4 bits with one scale for each output channel: the form to use",
            severity=Severity.INFO,
            evidence="B",
            confidence="M",
            why="""
                On an M5 Pro with macOS 27.0 such weights ran on the engine, 1.45 to 1.75 times as fast as fp16 for a
                gate and an MLP of 64 positions, 3.05 times for an MLP of 1024.
            """,
            fix="Nothing to do; on an M4, look at the plan.",
            source="cadamcat/llms-on-apple-neural-engine findings/coreml-direct-int4; stablehlo-coreml PR #110",
            sides=Sides(
                stays="cadamcat: on the engine of an M5 Pro, by the plan and by counting its requests",
                leaves=(
                    "the author of stablehlo-coreml: on an M4 the plan supports such weights on the CPU alone; a "
                    "message of the compiler refuses 4 bits with a scale for each channel (pkhairkh/MILLer)"
                ),
            ),
            find=_four_bits,
            fires="""
                x: fp16[1, 64, 1, 64]
                w: fp16[128, 64, 1, 1] = constexpr_blockwise_shift_scale(
                    data=int4[128, 64, 1, 1], scale=fp16[128, 1, 1, 1])
                y: fp16[1, 128, 1, 64] = conv(x=x, weight=w)
                return y
            """,
            silent="""
                x: fp16[1, 64, 1, 64]
                w: fp16[128, 64, 1, 1] = constexpr_blockwise_shift_scale(
                    data=int8[128, 64, 1, 1], scale=fp16[128, 1, 1, 1])
                y: fp16[1, 128, 1, 64] = conv(x=x, weight=w)
                return y
            """,
        ),
        *PALETTES,
        *ACTIVATIONS,
        FunctionRule(
            code="ANE-QT-011",
            name="eight-bit-weights",
            summary="weights of 8 bits alone save space, and time only where reading them is all there is to do",
            severity=Severity.INFO,
            evidence="BC",
            confidence="M",
            why="""
                Past Core ML, 8-bit weights ran at 1.00 times the speed of fp16; an M1 unpacks them to fp16 before. With
                Core AI on an M4 they were 4.8 times slower. Through Core ML on an M6 (macOS 27.0.1) 1x1 convolutions of
                2048 channels over 32 positions took 0.58 of fp16's time, 1x9 convolutions of 256 channels 1.05.
            """,
            fix="Use them for size; for speed, 4-bit weights with a scale a channel, or palettes.",
            source=(
                "sbryngelson/ane-guide part 3; 751K/Apple-Neural-Engine-Microarchitecture-Study-M6 maderix_summary, "
                "data/05_compute/wfmt/wfmt.txt; john-rocky/coreai-model-zoo"
            ),
            find=_eight_bits,
            fires="""
                x: fp16[1, 64, 1, 64]
                w: fp16[64, 64, 1, 1] = constexpr_affine_dequantize(
                    quantized_data=int8[64, 64, 1, 1], scale=fp16[64], zero_point=int8(0), axis=0)
                y: fp16[1, 64, 1, 64] = conv(x=x, weight=w)
                return y
            """,
            silent="""
                x: fp16[1, 64, 1, 64]
                w: fp16[64, 64, 1, 1] = constexpr_blockwise_shift_scale(
                    data=int4[64, 64, 1, 1], scale=fp16[64, 1, 1, 1])
                y: fp16[1, 64, 1, 64] = conv(x=x, weight=w)
                return y
            """,
        ),
        OpRule(
            code="ANE-QT-016",
            name="asymmetric-quantisation",
            summary="a weight or an activation is quantised with a zero point off the middle",
            severity=Severity.WARNING,
            effect=Effect.DOUBT,
            evidence="D",
            confidence="L",
            ops=(*WEIGHTED, "quantize", "dequantize"),
            why="""
                A message of the compiler says that asymmetric quantisation is not supported; nobody has measured it.
            """,
            fix="Quantise symmetrically (mode linear_symmetric).",
            source="strings of ANECompiler, collected in pkhairkh/MILLer",
            find=_asymmetric,
            fires="""
                x: fp16[1, 64, 1, 64]
                w: fp16[64, 64, 1, 1] = constexpr_affine_dequantize(
                    quantized_data=int8[64, 64, 1, 1], scale=fp16[64], zero_point=int8[64](3), axis=0)
                y: fp16[1, 64, 1, 64] = conv(x=x, weight=w)
                return y
            """,
            silent="""
                x: fp16[1, 64, 1, 64]
                w: fp16[64, 64, 1, 1] = constexpr_affine_dequantize(
                    quantized_data=uint8[64, 64, 1, 1], scale=fp16[64], zero_point=uint8[64](128), axis=0)
                y: fp16[1, 64, 1, 64] = conv(x=x, weight=w)
                return y
            """,
        ),
    ),
)
