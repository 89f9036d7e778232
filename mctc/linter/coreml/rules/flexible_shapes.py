"""Flexible shapes (ANE-SH-1xx)."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.linter.coreml.forms import times
from mctc.linter.coreml.graph import FunctionGraph, Op
from mctc.linter.coreml.interface import enumerated, features, ranged
from mctc.linter.coreml.rule import Effect, FunctionRule, Hit, OpRule, RuleFamily, Severity, Sides, listed
from mctc.linter.coreml.rules.flexible_extents import EXTENTS
from mctc.linter.coreml.target import Target

MOST_SHAPES = 128


def _ranges(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    found = ranged(function)
    if found:
        yield Hit(f"no fixed shape: {listed(f'{name} ({spans})' for name, spans in found.items())}")


def _too_many(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    for feature in features(function):
        if (count := len(feature.enumerated)) > MOST_SHAPES:
            yield Hit(f"{feature.name} lists {count} shapes, {MOST_SHAPES} are allowed")


def _listed(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    for feature in enumerated(function):
        shape = feature.type.shape if feature.type is not None else None
        first = tuple(extent or 0 for extent in shape) if shape else feature.enumerated[0]
        yield Hit(f"{feature.name} takes one of {len(feature.enumerated)} shapes; {times(first)} is the default")


def _several(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    flexible = enumerated(function)
    if len(flexible) > 1:
        each = listed(f"{feature.name} ({len(feature.enumerated)} shapes)" for feature in flexible)
        yield Hit(f"{len(flexible)} inputs with lists of shapes: {each}")


def _layer_norm(op: Op, _: Target) -> str | None:
    if not enumerated(op.function):
        return None
    return "layer_norm in a function whose inputs have listed shapes"


RULES = RuleFamily(
    name="flexible-shapes",
    title="Flexible shapes",
    not_decidable=(
        ("ANE-SH-103", "reshapeFrequency is a hint that an app gives when it loads the model, not part of the file"),
    ),
    rules=(
        FunctionRule(
            code="ANE-SH-100",
            name="range-shape",
            declared=True,
            summary="an input's shape is a range or unknown: the function may run on CPU or GPU",
            severity=Severity.WARNING,
            effect=Effect.DOUBT,
            evidence="AB",
            confidence="M",
            why="""
                Apple asks for fully static shapes, and Xcode says that its newer engine doesn't take range shapes to
                the Neural Engine; of a model with RangeDim, shapes other than the default ran there to 0 %. Two newer
                measurements have every convolution there, one of them after 112 to 133 s of compilation for each
                length.
            """,
            fix="Fix the shape: one function for each length (they share weights), or a list of a few shapes.",
            source=(
                "Apple developer forums 724930; ExecuTorch coreml-partitioner.md:30; coremltools #1029, #2370; Apple "
                "neural_engine_rules.md:9; FluidAudio ANE_Profiler.md; videlalvaro/ane-book experiments 26 and 30; "
                "LuuOW/meridian-mcp mlcore/ane_encoder/README.md"
            ),
            sides=Sides(
                stays=(
                    "ane-book: shards with 1 to 4 steps, all convolutions on the engine of an M4 Max; LuuOW: an "
                    "encoder of 32 to 256 positions, 217 of 217 ops in the plan"
                ),
                leaves=(
                    "an Apple engineer (forums 724930, 2023): with a range, only the default shape can run there; "
                    "ExecuTorch: models that rely on RangeDim go to CPU or GPU; coremltools #1029 (message of Xcode), "
                    "#2370 (0 % for all but the default); FluidAudio: CPU with a range, 94 % with fixed shapes"
                ),
            ),
            find=_ranges,
            fires="""
                x: fp16[1, 80, 1, 1:512]
                y: fp16[1, 80, 1, _] = relu(x=x)
                return y
            """,
            silent="""
                x: enum[fp16[1, 80, 1, 128], fp16[1, 80, 1, 512]]
                y: fp16[1, 80, 1, _] = relu(x=x)
                return y
            """,
        ),
        FunctionRule(
            code="ANE-SH-101",
            name="too-many-shapes",
            declared=True,
            summary="an input lists more than 128 shapes",
            severity=Severity.ERROR,
            evidence="A",
            confidence="H",
            why="""
                Apple's limit is 128 shapes; with 144 a prediction failed where 120 passed. Nothing of the plan shows
                it: such a model fails when it is loaded or run.
            """,
            fix="List at most 128 shapes: round lengths up to buckets.",
            source="coremltools docs-guides faqs.md:165 and flexible-inputs.md; coremltools #989",
            find=_too_many,
            fires=f"""
                x: enum[{", ".join(f"fp16[1, {n}]" for n in range(1, MOST_SHAPES + 2))}]
                y: fp16[1, _] = relu(x=x)
                return y
            """,
            silent=f"""
                x: enum[{", ".join(f"fp16[1, {n}]" for n in range(1, MOST_SHAPES + 1))}]
                y: fp16[1, _] = relu(x=x)
                return y
            """,
        ),
        FunctionRule(
            code="ANE-SH-102",
            name="listed-shapes",
            declared=True,
            summary="an input takes one of several listed shapes: only the default may be quick",
            severity=Severity.INFO,
            evidence="AB",
            confidence="M",
            why="""
                Apple: such a model runs on the engine unless converting it brought in dynamic layers; each listed shape
                should be able to. Measured: the default shape ran there, of the others about 2 %.
            """,
            fix="Make the most common shape the default, or give each shape a function of its own.",
            source="coremltools docs-guides faqs.md:165; Apple developer forums 724930; coremltools #2370",
            find=_listed,
            fires="""
                x: enum[fp16[1, 80, 1, 128], fp16[1, 80, 1, 512]]
                y: fp16[1, 80, 1, _] = relu(x=x)
                return y
            """,
            silent="""
                x: fp16[1, 80, 1, 128]
                y: fp16[1, 80, 1, 128] = relu(x=x)
                return y
            """,
        ),
        FunctionRule(
            code="ANE-SH-104",
            name="several-shape-lists",
            declared=True,
            summary="two or more inputs list shapes: mixing them fails when the model runs",
            severity=Severity.WARNING,
            evidence="E",
            confidence="M",
            why="""
                Reported: the first shapes of two lists go together, and so do the second ones; the first of one with
                the second of the other fails at prediction. Another report has such models fail with every input.
            """,
            fix="Keep one input flexible, or give each combination a function of its own.",
            source="coremltools #2271, #2730",
            find=_several,
            fires="""
                x: enum[fp16[1, 64, 1, 16], fp16[1, 64, 1, 32]]
                z: enum[fp16[1, 64, 1, 256], fp16[1, 64, 1, 512]]
                y: fp16[1, 64, 1, _] = relu(x=x)
                return y
            """,
            silent="""
                x: enum[fp16[1, 64, 1, 16], fp16[1, 64, 1, 32]]
                z: fp16[1, 64, 1, 256]
                y: fp16[1, 64, 1, _] = relu(x=x)
                return y
            """,
        ),
        OpRule(
            code="ANE-SH-105",
            name="layer-norm-listed-shapes",
            summary="layer_norm in a function whose inputs list shapes",
            severity=Severity.WARNING,
            effect=Effect.DOUBT,
            evidence="E",
            confidence="L",
            ops=("layer_norm",),
            why="""
                A report of 2023: layer_norm left the engine with listed shapes, and stayed with a fixed shape or a
                range; no other op was seen to.
            """,
            fix="Fix the shapes, one function for each.",
            source="coremltools #1909",
            find=_layer_norm,
            fires="""
                x: enum[fp16[1, 64, 128], fp16[1, 128, 128]]
                y: fp16[1, _, 128] = layer_norm(x=x, axes=[-1], gamma=fp16[128], beta=fp16[128], epsilon=fp16(0.00001))
                return y
            """,
            silent="""
                x: fp16[1, 64, 128]
                y: fp16[1, 64, 128] = layer_norm(x=x, axes=[-1], gamma=fp16[128], beta=fp16[128], epsilon=fp16(0.00001))
                return y
            """,
        ),
        *EXTENTS,
    ),
)
