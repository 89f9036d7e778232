"""Palettes (ANE-QT): weights as indices into tables; part of the family `compression`."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.linter.coreml.graph import FunctionGraph, Op
from mctc.linter.coreml.packed import WEIGHTED, Packed, counted, find_packed, packed, packed_weights
from mctc.linter.coreml.rule import Effect, FunctionRule, Hit, OpRule, Rule, Severity, Sides
from mctc.linter.coreml.rules.palettised_ops import PALETTISED_OPS
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
    *PALETTISED_OPS,
)
