"""Channels, groups, weights and axes of convolutions."""

from __future__ import annotations

from mctc.hardware.families import up_to
from mctc.linter.coreml.forms import channels, groups, rank, window
from mctc.linter.coreml.graph import Op
from mctc.linter.coreml.rule import Effect, OpRule, Severity, Sides
from mctc.linter.coreml.sources import DISPATCH, GUIDE
from mctc.linter.coreml.target import Scope, Target

DEPTHWISE_GROUPS, DEPTHWISE_WINDOW = 1024, (1, 1, 3)
MANY_CHANNELS = 32768


def _depthwise(op: Op, _: Target) -> str | None:
    count, inside = groups(op), channels(op)[0]
    if count < DEPTHWISE_GROUPS or count != inside or window(op) != DEPTHWISE_WINDOW:
        return None
    return f"a depthwise convolution of 1x3 over {count} channels"


def _uneven_groups(op: Op, _: Target) -> str | None:
    count = groups(op)
    uneven = [each for each in channels(op) if count > 1 and each is not None and each % count]
    return f"{count} groups do not divide {uneven[0]} channels" if uneven else None


def _runtime_weight(op: Op, _: Target) -> str | None:
    batch = (op.shape("x") or (None,))[0] or 0
    if batch < 2 or op.is_constant("weight"):
        return None
    return f"a weight that is computed, with a batch of {batch}"


def _many_channels(op: Op, _: Target) -> str | None:
    most = max((each for each in channels(op) if each is not None), default=0)
    return f"{most} channels are more than {MANY_CHANNELS}" if most > MANY_CHANNELS else None


def _three_axes(op: Op, _: Target) -> str | None:
    return "a convolution along three axes" if rank(op.shape("x")) == 5 else None


OPERANDS = (
    OpRule(
        code="ANE-CV-011",
        name="wide-depthwise",
        summary="a depthwise convolution of 1x3 over 1024 channels or more",
        severity=Severity.WARNING,
        effect=Effect.DOUBT,
        evidence="B",
        confidence="L",
        ops=("conv",),
        sides=Sides(
            stays=f"{DISPATCH}: 2 to 64 groups are placed on an M4, 1024 not tried; ane-guide: "
            "depthwise convolutions are native",
            leaves="john-rocky/CoreML-LLM LFM2_CONVERSION_FINDINGS.md: ten such ops went to the CPU on iOS 26",
        ),
        why="""
                In LFM2 on iOS 26 ten depthwise convolutions of 1x3 over 1024 channels went to the CPU, and their 4-bit
                palettised form did not compile. Up to 64 groups are placed on an M4 (macOS 27.0.1).
            """,
        fix="""
                Write it as three shifted products and a sum, and don't palettise it.
            """,
        source=f"john-rocky/CoreML-LLM LFM2_CONVERSION_FINDINGS.md; {DISPATCH}; {GUIDE}",
        find=_depthwise,
        fires="""
                x: fp16[1, 1024, 1, 64]
                y: fp16[1, 1024, 1, 62] = conv(x=x, weight=fp16[1024, 1, 1, 3], groups=1024, pad_type="valid")
                return y
            """,
        silent="""
                x: fp16[1, 1023, 1, 64]
                y: fp16[1, 1023, 1, 62] = conv(x=x, weight=fp16[1023, 1, 1, 3], groups=1023, pad_type="valid")
                return y
            """,
    ),
    OpRule(
        code="ANE-CV-012",
        name="uneven-groups",
        summary="a convolution whose groups do not divide its channels",
        severity=Severity.WARNING,
        effect=Effect.DOUBT,
        evidence="D",
        confidence="M",
        ops=("conv",),
        why="""
                The engine's compiler refuses it, and MIL's own description forbids it: such a package was not written
                by coremltools.
            """,
        fix="""
                Choose a number of groups that divides the channels in and out.
            """,
        source=f"{GUIDE} chapters 4 and 17",
        find=_uneven_groups,
        fires="""
                x: fp16[1, 8, 32, 32]
                y: fp16[1, 9, 32, 32] = conv(x=x, weight=fp16[9, 2, 3, 3], groups=3, pad_type="same")
                return y
            """,
        silent="""
                x: fp16[1, 8, 32, 32]
                y: fp16[1, 8, 32, 32] = conv(x=x, weight=fp16[8, 2, 3, 3], groups=4, pad_type="same")
                return y
            """,
    ),
    OpRule(
        code="ANE-CV-013",
        name="computed-weight",
        summary="a convolution with a computed weight and a batch above 1",
        severity=Severity.WARNING,
        effect=Effect.DOUBT,
        evidence="BC",
        confidence="L",
        ops=("conv",),
        sides=Sides(
            stays=f"{DISPATCH}: computed weights are placed on an M4 (batch not stated)",
            leaves=f"{GUIDE} chapter 19: past Core ML the compiler crashes from a batch of 2 on; "
            "skyfallsin/apple-neural-engine-field-guide: the weight is ignored without a word",
        ),
        why="""
                Past Core ML a computed weight works with a batch of 1, and crashes the compiler with 2 (M1). Through
                Core ML an M4 (macOS 27.0.1) supports computed weights.
            """,
        fix="""
                Use matmul, or one convolution for every image of the batch.
            """,
        source=f"{GUIDE} chapter 19; {DISPATCH}, section 3.2",
        find=_runtime_weight,
        fires="""
                x: fp16[2, 8, 32, 32]
                w: fp16[8, 8, 3, 3]
                y: fp16[2, 8, 32, 32] = conv(x=x, weight=w, pad_type="same")
                return y
            """,
        silent="""
                x: fp16[1, 8, 32, 32]
                w: fp16[8, 8, 3, 3]
                y: fp16[1, 8, 32, 32] = conv(x=x, weight=w, pad_type="same")
                return y
            """,
    ),
    OpRule(
        code="ANE-CV-014",
        name="many-channels",
        summary="a convolution with more than 32768 channels",
        severity=Severity.INFO,
        evidence="D",
        confidence="L",
        ops=("conv",),
        why="""
                A private path gives 32768 as the most. 16385 were measured to compile on an M1, and one convolution to
                262144 channels ran best on an iPhone.
            """,
        fix="""
                Look at it on a device; split the channels if it is not placed.
            """,
        source=f"mechramc/Orion ane_constraints.md 16; {GUIDE} chapter 4; john-rocky/CoreML-LLM",
        find=_many_channels,
        fires="""
                x: fp16[1, 64, 1, 32]
                y: fp16[1, 32769, 1, 32] = conv(x=x, weight=fp16[32769, 64, 1, 1], pad_type="valid")
                return y
            """,
        silent="""
                x: fp16[1, 64, 1, 32]
                y: fp16[1, 32768, 1, 32] = conv(x=x, weight=fp16[32768, 64, 1, 1], pad_type="valid")
                return y
            """,
    ),
    OpRule(
        code="ANE-CV-015",
        name="convolution-along-three-axes",
        summary="a convolution along three axes, for chips before the M4",
        severity=Severity.INFO,
        effect=Effect.DOUBT,
        evidence="BC",
        confidence="L",
        scope=Scope(families=up_to("H15")),
        ops=("conv",),
        sides=Sides(
            stays=f"{DISPATCH}: supported on an M4 through Core ML",
            leaves=f"{GUIDE} chapter 4: fails in the compiler of every M1 path past Core ML",
        ),
        why="""
                An M4 (macOS 27.0.1) takes it through Core ML; past Core ML no path to an M1 compiles it. Nothing is
                known of the families between.
            """,
        fix="""
                For older chips, fold one axis into the batch or the channels and convolve along two.
            """,
        source=f"{DISPATCH}, section 3.2; {GUIDE} chapter 4",
        find=_three_axes,
        fires="""
                x: fp16[1, 8, 16, 32, 32]
                y: fp16[1, 8, 16, 32, 32] = conv(x=x, weight=fp16[8, 8, 3, 3, 3], pad_type="same")
                return y
            """,
        silent="""
                x: fp16[1, 8, 32, 32]
                y: fp16[1, 8, 32, 32] = conv(x=x, weight=fp16[8, 8, 3, 3], pad_type="same")
                return y
            """,
    ),
)
