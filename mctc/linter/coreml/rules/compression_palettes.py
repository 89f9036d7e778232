"""Palettes (ANE-QT): weights as indices into tables; part of the family `compression`."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.linter.coreml.graph import FunctionGraph, Op
from mctc.linter.coreml.packed import BLOCKS, WEIGHTED, Packed, counted, find_packed, packed, packed_weights
from mctc.linter.coreml.rule import Effect, FunctionRule, Hit, OpRule, Rule, Severity, Sides
from mctc.linter.coreml.target import Scope, Target

SMALLEST_GROUP = 4
"""Output channels a table from which on it is nearly as fast as one table for all."""
COSTS = {1: 4.0, 2: 2.1}
"""By output channels a table, how many times as long it took as one table for all: OPT-1.3B in 4 bits on an iPhone 15
Pro, 59.11 and 30.72 against 14.76 ms (fp16 92.15; coremltools opt-opt1_3.md)."""
RECOMMENDED_GROUP = 8
RECOMMENDED_BITS = (1, 2, 3, 4, 6, 8)


def _small_groups(weight: Packed) -> str | None:
    size = weight.group_size
    if size is None or size >= SMALLEST_GROUP:
        return None
    channels = "output channel" if size == 1 else f"{size} output channels"
    cost = f": {COSTS[size]} times the time of one table on an iPhone 15 Pro" if size in COSTS else ""
    return f"a lookup table for every {channels}, slow below {SMALLEST_GROUP}{cost}"


def _rank_six(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    steps = {id(step): step for weight in packed_weights(function) for step in weight.chain}
    count = sum(len(step.shape("lut") or ()) >= 6 for step in steps.values() if step.has("lut"))
    if count:
        yield Hit(
            f"{counted(count, 'lookup table')} of 6 axes, as weights with 4 axes have them: Core AI rejects those"
        )


def _recommended(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    count = sum(_is_recommended(weight) for weight in packed_weights(function))
    if count:
        yield Hit(
            f"{counted(count)} palettised with one table, or one for {RECOMMENDED_GROUP} output channels and more"
        )


def _is_recommended(weight: Packed) -> bool:
    palette, size = weight.palette, weight.group_size
    if (
        palette is None
        or palette.whole
        or palette.scaled
        or palette.vector > 1
        or len(weight.chain) > 1
        or weight.depthwise
    ):
        return False
    others = (count for axis, count in enumerate(palette.tables) if axis != weight.out_axis)
    return (
        palette.bits in RECOMMENDED_BITS
        and all(count == 1 for count in others)
        and (size is None or size >= RECOMMENDED_GROUP)
    )


def _widened(op: Op, target: Target) -> str | None:
    weight = packed(op)
    palette = weight.palette if weight is not None else None
    if palette is None or palette.bits != 3 or palette.bits in target.family.palette_bits:
        return None
    return f"{target.family.name} has no palettes of 3 bits: they take 4 in memory"


def _integer_table(weight: Packed) -> str | None:
    palette = weight.palette
    return "a lookup table of 8-bit entries" if palette is not None and palette.whole else None


def _vectors(weight: Packed) -> str | None:
    palette = weight.palette
    if palette is None or palette.vector < 2 or palette.vector_axis in (None, weight.out_axis):
        return None
    return f"vectors of {palette.vector} along axis {palette.vector_axis}, not along the output channels"


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


PALETTES: tuple[Rule, ...] = (
    OpRule(
        code="ANE-QT-003",
        name="small-palette-groups",
        summary="a lookup table for fewer than 4 output channels",
        severity=Severity.PERFORMANCE,
        evidence="AB",
        confidence="H",
        ops=WEIGHTED,
        why="""
            Apple on an iPhone 15 Pro (OPT-1.3B, iOS 18): fp16 92 ms, one table 14.8, groups of 8 15.5, of 4 17.1, of 2
            30.7, a table a channel 59.1. On an M5 Pro two forms with a table a channel took 2.2 to 10 times as long as
            fp16. On an M6 groups of 16 cost what one table costs (16.7 and 16.8 us for 2048x2048, fp16 52.8).
        """,
        fix="One table a tensor, or group_size 8 or 16.",
        source=(
            "coremltools docs-guides opt-opt1_3.md:264-275 and opt-palettization-perf.md; "
            "cadamcat/llms-on-apple-neural-engine findings/coreml-direct-int4; 751K data/05_compute/wfmt/wfmt.txt"
        ),
        find=find_packed(_small_groups),
        fires="""
            x: fp16[1, 64, 1, 64]
            w: fp16[128, 64, 1, 1] = constexpr_lut_to_dense(indices=uint4[128, 64, 1, 1], lut=fp16[64, 1, 1, 1, 16, 1])
            y: fp16[1, 128, 1, 64] = conv(x=x, weight=w)
            return y
        """,
        silent="""
            x: fp16[1, 64, 1, 64]
            w: fp16[128, 64, 1, 1] = constexpr_lut_to_dense(indices=uint4[128, 64, 1, 1], lut=fp16[32, 1, 1, 1, 16, 1])
            y: fp16[1, 128, 1, 64] = conv(x=x, weight=w)
            return y
        """,
    ),
    FunctionRule(
        code="ANE-QT-004",
        name="six-axis-tables",
        summary="lookup tables of 6 axes, which Core AI rejects and Core ML takes",
        severity=Severity.INFO,
        evidence="A",
        confidence="M",
        why="""
            Seen in Core AI only: Apple's exporter leaves weights with 4 axes unpalettised, because a table of 6 axes is
            rejected there. Through Core ML such weights run on the engine, so this matters for a move to Core AI alone.
        """,
        fix="Nothing for Core ML; for Core AI palettise weights with 2 or 3 axes.",
        source="apple/coreai-models python/src/coreai_models/segmentation/pipeline.py:141,210",
        find=_rank_six,
        fires="""
            x: fp16[1, 64, 1, 64]
            w: fp16[128, 64, 1, 1] = constexpr_lut_to_dense(indices=uint4[128, 64, 1, 1], lut=fp16[1, 1, 1, 1, 16, 1])
            y: fp16[1, 128, 1, 64] = conv(x=x, weight=w)
            return y
        """,
        silent="""
            x: fp16[1, 64, 64]
            w: fp16[128, 64, 1] = constexpr_lut_to_dense(indices=uint4[128, 64, 1], lut=fp16[1, 1, 1, 16, 1])
            y: fp16[1, 128, 64] = conv(x=x, weight=w)
            return y
        """,
    ),
    FunctionRule(
        code="ANE-QT-005",
        name="recommended-palettes",
        summary="palettised weights in the form to use",
        severity=Severity.INFO,
        evidence="AB",
        confidence="H",
        why="""
            Apple: palettes of 1 to 8 bits typically work best on the engine. With groups of 32 and 4 bits, all 34 ops
            of a model on an M4 Max ran there; 94 % of one on an M5. With Core AI, a 4-bit preset did not compile for
            the engine of an M5 Pro.
        """,
        fix="Nothing to do.",
        source=(
            "coremltools docs-guides opt-overview.md:100; videlalvaro/ane-book journal 112, experiment 35; FluidAudio "
            "ANE_Profiler.md; cadamcat/llms-on-apple-neural-engine findings/coreai-palettized-weights-gpu"
        ),
        find=_recommended,
        fires="""
            x: fp16[1, 64, 1, 64]
            w: fp16[128, 64, 1, 1] = constexpr_lut_to_dense(indices=uint4[128, 64, 1, 1], lut=fp16[16, 1, 1, 1, 16, 1])
            y: fp16[1, 128, 1, 64] = conv(x=x, weight=w)
            return y
        """,
        silent="""
            x: fp16[1, 64, 1, 64]
            w: fp16[128, 64, 1, 1] = constexpr_lut_to_dense(indices=uint4[128, 64, 1, 1], lut=fp16[32, 1, 1, 1, 16, 1])
            y: fp16[1, 128, 1, 64] = conv(x=x, weight=w)
            return y
        """,
    ),
    OpRule(
        code="ANE-QT-006",
        name="three-bit-palette",
        summary="palettes of 3 bits are widened to 4 on chips before H18",
        severity=Severity.PERFORMANCE,
        evidence="D",
        confidence="L",
        scope=Scope(families=frozenset({"H13", "H14", "H15", "H16", "H17"})),
        ops=WEIGHTED,
        why="""
            The tables of the compiler have palettes of 3 bits from H18 on; before, they save space on disk alone.
        """,
        fix="Use 4 bits, at the same cost and more exact, or 2.",
        source="751K/Apple-Neural-Engine-Microarchitecture-Study-M6 hal_analysis.md",
        find=_widened,
        fires="""
            x: fp16[1, 64, 1, 64]
            w: fp16[128, 64, 1, 1] = constexpr_lut_to_dense(indices=uint3[128, 64, 1, 1], lut=fp16[1, 1, 1, 1, 8, 1])
            y: fp16[1, 128, 1, 64] = conv(x=x, weight=w)
            return y
        """,
        silent="""
            x: fp16[1, 64, 1, 64]
            w: fp16[128, 64, 1, 1] = constexpr_lut_to_dense(indices=uint4[128, 64, 1, 1], lut=fp16[1, 1, 1, 1, 16, 1])
            y: fp16[1, 128, 1, 64] = conv(x=x, weight=w)
            return y
        """,
    ),
    OpRule(
        code="ANE-QT-007",
        name="eight-bit-table",
        summary="a lookup table with entries of 8 bits",
        severity=Severity.WARNING,
        effect=Effect.DOUBT,
        evidence="AB",
        confidence="L",
        ops=WEIGHTED,
        why="""
            On a Mac a model with such tables had 86.7 % of its ops on the engine instead of 92.9, was 3.4 % slower, and
            its results were off (cosine 0.83). Apple recommends the form together with quantised activations.
        """,
        fix="Keep fp16 entries, or quantise weights and activations to 8 bits without a palette.",
        source="coremltools docs-guides opt-joint-compression.md:33; john-rocky/CoreML-LLM REJECTED_APPROACHES.md:112",
        sides=Sides(
            stays="Apple: 8-bit tables with 8-bit activations use the int8 path of A17 Pro and M4",
            leaves="CoreML-LLM: 73 ops fell off the engine of a Mac",
        ),
        find=find_packed(_integer_table),
        fires="""
            x: fp16[1, 64, 1, 64]
            v: int8[128, 64, 1, 1] = constexpr_lut_to_dense(indices=uint4[128, 64, 1, 1], lut=int8[1, 1, 1, 1, 16, 1])
            w: fp16[128, 64, 1, 1] = constexpr_blockwise_shift_scale(data=v, scale=fp16[128, 1, 1, 1])
            y: fp16[1, 128, 1, 64] = conv(x=x, weight=w)
            return y
        """,
        silent="""
            x: fp16[1, 64, 1, 64]
            w: fp16[128, 64, 1, 1] = constexpr_lut_to_dense(indices=uint4[128, 64, 1, 1], lut=fp16[1, 1, 1, 1, 16, 1])
            y: fp16[1, 128, 1, 64] = conv(x=x, weight=w)
            return y
        """,
    ),
    OpRule(
        code="ANE-QT-008",
        name="vector-palette-axis",
        summary="vectors of a palette run along another axis than the output channels",
        severity=Severity.WARNING,
        effect=Effect.DOUBT,
        evidence="BD",
        confidence="M",
        ops=WEIGHTED,
        why="""
            A message of the compiler takes vectors along the output channels alone; its tables have them from H18 on.
            On an M6 (macOS 27.0.1) palettes of 2 and of 4 input channels an index failed to compile, and Core ML ran
            the whole model on the CPU. Vectors along the output channels were not measured.
        """,
        fix="Use scalar palettes (cluster_dim 1).",
        source=(
            "strings of ANECompiler, collected in pkhairkh/MILLer; 751K/Apple-Neural-Engine-Microarchitecture-Study-M6 "
            "hal_analysis.md, data/05_compute/wfmt/wfmt.txt"
        ),
        find=find_packed(_vectors),
        fires="""
            x: fp16[1, 64, 64]
            w: fp16[128, 64] = constexpr_lut_to_dense(indices=uint4[128, 32], lut=fp16[1, 1, 16, 2], vector_axis=1)
            y: fp16[1, 64, 128] = linear(x=x, weight=w)
            return y
        """,
        silent="""
            x: fp16[1, 64, 64]
            w: fp16[128, 64] = constexpr_lut_to_dense(indices=uint4[64, 64], lut=fp16[1, 1, 16, 2], vector_axis=0)
            y: fp16[1, 64, 128] = linear(x=x, weight=w)
            return y
        """,
    ),
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
