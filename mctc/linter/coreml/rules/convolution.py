"""Convolutions (ANE-CV)."""

from __future__ import annotations

from mctc.linter.coreml.forms import dilations, groups, strides, times
from mctc.linter.coreml.graph import Op
from mctc.linter.coreml.packed import PALETTES, packed
from mctc.linter.coreml.rule import Effect, OpRule, RuleFamily, Severity, Sides
from mctc.linter.coreml.rules.convolution_kernels import KERNELS
from mctc.linter.coreml.rules.convolution_operands import OPERANDS
from mctc.linter.coreml.rules.deconvolution import CUT
from mctc.linter.coreml.sources import DISPATCH, NEURAL_ENGINE_RULES
from mctc.linter.coreml.target import Target

EQUAL_STRIDES = (1, 2, 4, 6, 8, 9, 12, 16, 24, 32)
BESIDE_TWO = (1, 2, 3, 4, 8, 9)
PALETTE_STRIDE = 2
CHEAP_DILATION = 3
LARGE_STRIDE = 8


def is_palettised(op: Op) -> bool:
    weight = packed(op)
    return weight is not None and any(step.type in PALETTES for step in weight.chain)


def _stride(op: Op, _: Target) -> str | None:
    found = strides(op)[-2:]
    if len(found) != 2 or min(found) < 2:
        return None  # along one axis only
    high, wide = found
    good = high in EQUAL_STRIDES if high == wide else 2 in found and max(found) in BESIDE_TWO
    return None if good else f"a stride of {times(found)} is none that the engine takes in one step"


def _palette_stride(op: Op, _: Target) -> str | None:
    found = strides(op)
    if max(found, default=1) <= PALETTE_STRIDE or not is_palettised(op):
        return None
    return f"a palettised weight with a stride of {times(found)}: palettes go with strides up to {PALETTE_STRIDE}"


def _dilation(op: Op, _: Target) -> str | None:
    found = dilations(op)
    return f"a dilation of {times(found)} in one step" if max(found, default=1) > CHEAP_DILATION else None


def _palette_transposed(op: Op, _: Target) -> str | None:
    reasons = ["grouped"] if groups(op) > 1 else []
    reasons += ["dilated"] if max(dilations(op), default=1) > 1 else []
    if not reasons or not is_palettised(op):
        return None
    return f"a {' and '.join(reasons)} transposed convolution with a palettised weight"


def _transposed_stride(op: Op, _: Target) -> str | None:
    found = strides(op)
    return (
        f"a transposed convolution with a stride of {times(found)}" if max(found, default=1) >= LARGE_STRIDE else None
    )


RULES = RuleFamily(
    name="convolution",
    title="Convolutions",
    rules=(
        *KERNELS,
        CUT,
        OpRule(
            code="ANE-CV-006",
            name="stride-of-odd-size",
            summary="a convolution whose strides along both axes are no product of small twos and threes",
            severity=Severity.PERFORMANCE,
            evidence="AB",
            confidence="H",
            ops=("conv",),
            why="""
                Apple lists the strides that map well: equal ones of 2, 4, 6, 8, 9, 12, 16, 24 and 32; beside a 2, one
                of 3, 4, 8 or 9; unequal ones above 2 not at all. An M4 (macOS 27.0.1) takes every stride from 2 to 8,
                so this costs time, not the place. Patches of 14 or 7 are the common case.
            """,
            fix="""
                Choose a stride of the list, or bring the pixels into channels first (space_to_depth, pixel_unshuffle).
            """,
            source=f"{NEURAL_ENGINE_RULES}, Convolution stride optimization; {DISPATCH}, section 3.3",
            find=_stride,
            fires="""
                x: fp16[1, 3, 224, 224]
                y: fp16[1, 384, 16, 16] = conv(x=x, weight=fp16[384, 3, 14, 14], strides=[14, 14], pad_type="valid")
                return y
            """,
            silent="""
                x: fp16[1, 3, 224, 224]
                y: fp16[1, 384, 14, 14] = conv(x=x, weight=fp16[384, 3, 16, 16], strides=[16, 16], pad_type="valid")
                return y
            """,
        ),
        OpRule(
            code="ANE-CV-007",
            name="palette-with-stride",
            summary="a palettised convolution with a stride above 2",
            severity=Severity.WARNING,
            effect=Effect.DOUBT,
            evidence="A",
            confidence="M",
            ops=("conv", "conv_transpose"),
            why="""
                Apple says that palettised kernels support few strides, and to use no more than 2. What happens beyond
                is not said.
            """,
            fix="""
                Leave the weight of this convolution unpalettised.
            """,
            source=f"{NEURAL_ENGINE_RULES}, Convolution stride optimization",
            find=_palette_stride,
            fires="""
                x: fp16[1, 64, 64, 64]
                w: fp16[64, 64, 3, 3] = constexpr_lut_to_dense(indices=uint4[64, 64, 3, 3], lut=fp16[1, 1, 1, 1, 16, 1])
                y: fp16[1, 64, 16, 16] = conv(x=x, weight=w, strides=[4, 4], pad_type="same")
                return y
            """,
            silent="""
                x: fp16[1, 64, 64, 64]
                w: fp16[64, 64, 3, 3] = constexpr_lut_to_dense(indices=uint4[64, 64, 3, 3], lut=fp16[1, 1, 1, 1, 16, 1])
                y: fp16[1, 64, 32, 32] = conv(x=x, weight=w, strides=[2, 2], pad_type="same")
                return y
            """,
        ),
        OpRule(
            code="ANE-CV-008",
            name="large-dilation",
            summary="a convolution with a dilation of 4 or more",
            severity=Severity.PERFORMANCE,
            evidence="A",
            confidence="M",
            ops=("conv",),
            why="""
                Apple calls large dilations expensive and factors them into chains of 2 and 3 (8 is 2, 2, 2; 6 is 2, 3).
                They stay on the engine: dilated convolutions are placed there on an M4 (macOS 27.0.1); that they were
                not is from 2020.
            """,
            fix="""
                Chain convolutions with dilations of 2 and 3, and train again.
            """,
            source=f"{NEURAL_ENGINE_RULES}, Dilated convolution factorization; {DISPATCH}; hollance/neural-engine",
            find=_dilation,
            fires="""
                x: fp16[1, 64, 32, 32]
                y: fp16[1, 64, 32, 32] = conv(x=x, weight=fp16[64, 64, 3, 3], dilations=[4, 4], pad_type="same")
                return y
            """,
            silent="""
                x: fp16[1, 64, 32, 32]
                y: fp16[1, 64, 32, 32] = conv(x=x, weight=fp16[64, 64, 3, 3], dilations=[3, 3], pad_type="same")
                return y
            """,
        ),
        OpRule(
            code="ANE-CV-009",
            name="palette-in-deconvolution",
            summary="a dilated or grouped transposed convolution with a palettised weight",
            severity=Severity.WARNING,
            effect=Effect.DOUBT,
            evidence="D",
            confidence="L",
            ops=("conv_transpose",),
            why="""
                The compiler holds messages that refuse it; nobody has reported one. A stride along batch or channels,
                which another message refuses, can't be written in a Core ML package.
            """,
            fix="""
                Leave the weight of this convolution unpalettised.
            """,
            source="pkhairkh/MILLer (strings of ANECompiler)",
            find=_palette_transposed,
            fires="""
                x: fp16[1, 64, 32, 32]
                w: fp16[64, 1, 2, 2] = constexpr_lut_to_dense(indices=uint4[64, 1, 2, 2], lut=fp16[1, 1, 1, 1, 16, 1])
                y: fp16[1, 64, 64, 64] = conv_transpose(x=x, weight=w, strides=[2, 2], groups=64, pad_type="valid")
                return y
            """,
            silent="""
                x: fp16[1, 64, 32, 32]
                w: fp16[64, 64, 2, 2] = constexpr_lut_to_dense(indices=uint4[64, 64, 2, 2], lut=fp16[1, 1, 1, 1, 16, 1])
                y: fp16[1, 64, 64, 64] = conv_transpose(x=x, weight=w, strides=[2, 2], groups=1, pad_type="valid")
                return y
            """,
        ),
        OpRule(
            code="ANE-CV-010",
            name="deconvolution-with-large-stride",
            summary="a transposed convolution with a stride of 8 or more",
            severity=Severity.WARNING,
            effect=Effect.DOUBT,
            evidence="DE",
            confidence="L",
            ops=("conv_transpose",),
            sides=Sides(
                stays=f"{DISPATCH}: transposed convolutions are placed on an M4 (strides not stated)",
                leaves="coremltools #2450: a stride of 16 with a kernel of 16x1 fails on iOS hardware; "
                "pkhairkh/MILLer: the compiler has a message that refuses every stride but 2",
            ),
            why="""
                A stride of 16 with a kernel of 16x1 was reported to fail on iOS devices. Where between 2 and 16 it
                begins is not known; the line is drawn at half the reported stride.
            """,
            fix="""
                Upsample in several steps of 2, or with pixel_shuffle behind a convolution.
            """,
            source=f"coremltools #2450; pkhairkh/MILLer; {DISPATCH}",
            find=_transposed_stride,
            fires="""
                x: fp16[1, 64, 32, 1]
                y: fp16[1, 32, 256, 1] = conv_transpose(x=x, weight=fp16[64, 32, 8, 1], strides=[8, 1])
                return y
            """,
            silent="""
                x: fp16[1, 64, 32, 1]
                y: fp16[1, 32, 128, 1] = conv_transpose(x=x, weight=fp16[64, 32, 4, 1], strides=[4, 1])
                return y
            """,
        ),
        *OPERANDS,
    ),
)
