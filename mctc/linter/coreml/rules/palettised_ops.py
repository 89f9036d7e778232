"""Palettised weights by the op that they belong to, and by what else is done to them."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.linter.coreml.graph import FunctionGraph
from mctc.linter.coreml.packed import BLOCKS, WEIGHTED, Packed, counted, find_packed, packed_weights
from mctc.linter.coreml.rule import Effect, FunctionRule, Hit, OpRule, Severity, Sides
from mctc.linter.coreml.target import Target


def _sparse_palette(weight: Packed) -> str | None:
    sparse = any("sparse" in name for name in weight.types)
    return "a weight both sparse and palettised" if sparse and weight.palette is not None else None


def _scaled_before(weight: Packed) -> str | None:
    palette = weight.palette
    if palette is None or palette.whole or not (palette.scaled or weight.types & set(BLOCKS)):
        return None
    return "the scale of a palettised weight is applied before the op, not to its result"


def _depthwise(weight: Packed) -> str | None:
    if weight.palette is None or not weight.depthwise or weight.op.type != "conv":
        return None
    return f"a palettised weight of a depthwise convolution over {weight.op_channels} channels"


def _transposed(weight: Packed) -> str | None:
    return None if weight.palette is None else "a palettised weight of a transposed convolution"


def _stateful(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    if not function.states:
        return
    count = sum(weight.palette is not None and weight.palette.bits == 4 for weight in packed_weights(function))
    if count:
        yield Hit(f"{counted(count)} with palettes of 4 bits in a function with states")


PALETTISED_OPS = (
    OpRule(
        code="ANE-QT-013",
        name="sparse-palette",
        summary="a weight is both sparse and palettised",
        severity=Severity.PERFORMANCE,
        evidence="B",
        confidence="M",
        ops=WEIGHTED,
        why="""
            Pruning a model in an N:M pattern beneath 4-bit palettes took its package from 155.8 to 349.6 MB: masks and
            tables are both kept.
        """,
        fix="Choose one of the two.",
        source="john-rocky/CoreML-LLM REJECTED_APPROACHES.md:113",
        find=find_packed(_sparse_palette),
        fires="""
            x: fp16[1, 64, 64]
            m: (uint1[128, 64], fp16[4096]) = constexpr_lut_to_sparse(
                indices_mask=uint1[128, 64], indices_nonzero_data=uint4[4096], lut=fp16[1, 1, 16, 1])
            w: fp16[128, 64] = constexpr_sparse_to_dense(nonzero_data=m_1, mask=m)
            y: fp16[1, 64, 128] = linear(x=x, weight=w)
            return y
        """,
        silent="""
            x: fp16[1, 64, 64]
            w: fp16[128, 64] = constexpr_sparse_to_dense(nonzero_data=fp16[4096], mask=uint1[128, 64])
            y: fp16[1, 64, 128] = linear(x=x, weight=w)
            return y
        """,
    ),
    OpRule(
        code="ANE-QT-014",
        name="scale-before-product",
        summary="a palettised weight is scaled before it is multiplied",
        severity=Severity.WARNING,
        effect=Effect.DOUBT,
        evidence="A",
        confidence="H",
        ops=WEIGHTED,
        why="""
            coremltools moves such scales behind the convolution or product, because the engine wants them there. Left
            before it, loading stops with a failed check of mps.dequantize on macOS 26.
        """,
        fix="Leave the pass reorder_lut_per_channel_scale on, or multiply the op's result by the scale.",
        source="coremltools optimize_quantization.py:1005-1022; coremltools PR #2688",
        find=find_packed(_scaled_before),
        fires="""
            x: fp16[1, 64, 1, 64]
            v: fp16[128, 64, 1, 1] = constexpr_lut_to_dense(indices=uint4[128, 64, 1, 1], lut=fp16[1, 1, 1, 1, 16, 1])
            w: fp16[128, 64, 1, 1] = constexpr_blockwise_shift_scale(data=v, scale=fp16[128, 1, 1, 1])
            y: fp16[1, 128, 1, 64] = conv(x=x, weight=w)
            return y
        """,
        silent="""
            x: fp16[1, 64, 1, 64]
            w: fp16[128, 64, 1, 1] = constexpr_lut_to_dense(indices=uint4[128, 64, 1, 1], lut=fp16[1, 1, 1, 1, 16, 1])
            u: fp16[1, 128, 1, 64] = conv(x=x, weight=w)
            y: fp16[1, 128, 1, 64] = mul(x=u, y=fp16[1, 128, 1, 1])
            return y
        """,
    ),
    OpRule(
        code="ANE-QT-015",
        name="depthwise-palette",
        summary="the weight of a depthwise convolution is palettised",
        severity=Severity.WARNING,
        effect=Effect.DOUBT,
        evidence="BD",
        confidence="M",
        ops=("conv",),
        why="""
            LFM2 on iOS 26 (1x3 over 1024 channels, 4 bits) does not run on the engine; its author blames the
            depthwise kernels. Apple's own palettised MobileNetV2 is as quick as in fp16 on an iPhone 14 Pro, and its
            depthwise weights are large enough to be palettised by default.
        """,
        fix="Leave depthwise weights in fp16: they are small.",
        source=(
            "john-rocky/CoreML-LLM LFM2_CONVERSION_FINDINGS.md:139; coremltools docs-guides opt-palettization-perf.md; "
            "strings of ANECompiler, collected in pkhairkh/MILLer"
        ),
        sides=Sides(
            stays="Apple: MobileNetV2 with 4-bit palettes 0.45 ms, in fp16 0.48 ms (iPhone 14 Pro, iOS 17)",
            leaves="CoreML-LLM: LFM2 with 4-bit palettes fails on the engine (iOS 26)",
        ),
        find=find_packed(_depthwise),
        fires="""
            x: fp16[1, 1024, 1, 64]
            w: fp16[1024, 1, 1, 3] = constexpr_lut_to_dense(indices=uint4[1024, 1, 1, 3], lut=fp16[1, 1, 1, 1, 16, 1])
            y: fp16[1, 1024, 1, 62] = conv(x=x, weight=w, groups=1024)
            return y
        """,
        silent="""
            x: fp16[1, 1024, 1, 64]
            w: fp16[1024, 512, 1, 3] = constexpr_lut_to_dense(
                indices=uint4[1024, 512, 1, 3], lut=fp16[1, 1, 1, 1, 16, 1])
            y: fp16[1, 1024, 1, 62] = conv(x=x, weight=w, groups=2)
            return y
        """,
    ),
    OpRule(
        code="ANE-QT-015b",
        name="transposed-palette",
        summary="the weight of a transposed convolution is palettised",
        severity=Severity.WARNING,
        effect=Effect.DOUBT,
        evidence="D",
        confidence="L",
        ops=("conv_transpose",),
        why="""
            Messages of the compiler name deconvolutions among what palettes do not go with; nobody has measured it.
        """,
        fix="Leave the weight in fp16.",
        source="strings of ANECompiler, collected in pkhairkh/MILLer (palettization seed)",
        find=find_packed(_transposed),
        fires="""
            x: fp16[1, 64, 16, 16]
            w: fp16[64, 32, 2, 2] = constexpr_lut_to_dense(indices=uint4[64, 32, 2, 2], lut=fp16[1, 1, 1, 1, 16, 1])
            y: fp16[1, 32, 32, 32] = conv_transpose(x=x, weight=w, strides=[2, 2])
            return y
        """,
        silent="""
            x: fp16[1, 64, 16, 16]
            y: fp16[1, 32, 32, 32] = conv_transpose(x=x, weight=fp16[64, 32, 2, 2], strides=[2, 2])
            return y
        """,
    ),
    FunctionRule(
        code="ANE-QT-017",
        name="stateful-palette",
        summary="palettes of 4 bits in a function with states crash after some hundred calls",
        severity=Severity.WARNING,
        evidence="E",
        confidence="M",
        why="""
            Reported for an M5 Max with macOS 26.5: built with coremltools 9.0, such a model crashes after 100 to 200
            calls on the engine and gives wrong numbers; built with 8.3.0 from the same source it runs.
        """,
        fix="Run some hundred calls on the device; build with coremltools 8.3, or use other weights.",
        source="coremltools #2716",
        find=_stateful,
        fires="""
            s: state[fp16[1, 64, 1, 32]]
            x: fp16[1, 64, 1, 32]
            w: fp16[64, 64, 1, 1] = constexpr_lut_to_dense(indices=uint4[64, 64, 1, 1], lut=fp16[1, 1, 1, 1, 16, 1])
            y: fp16[1, 64, 1, 32] = conv(x=x, weight=w)
            write_state(input=s, data=y)
            return y
        """,
        silent="""
            s: state[fp16[1, 64, 1, 32]]
            x: fp16[1, 64, 1, 32]
            w: fp16[64, 64, 1, 1] = constexpr_lut_to_dense(indices=uint6[64, 64, 1, 1], lut=fp16[1, 1, 1, 1, 64, 1])
            y: fp16[1, 64, 1, 32] = conv(x=x, weight=w)
            write_state(input=s, data=y)
            return y
        """,
    ),
)
