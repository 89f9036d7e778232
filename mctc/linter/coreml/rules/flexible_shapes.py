"""Flexible shapes (ANE-SH-1xx)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mctc.linter.coreml.forms import times
from mctc.linter.coreml.graph import FunctionGraph, Op, Shape, as_tensor
from mctc.linter.coreml.interface import enumerated, features, ranged
from mctc.linter.coreml.rule import Effect, FunctionRule, Hit, MisfitRule, OpRule, RuleFamily, Severity, Sides, listed
from mctc.linter.coreml.support import BINARY, NORMS, UNARY
from mctc.linter.coreml.target import Target

MOST_SHAPES = 128
BROADCASTING = frozenset((*UNARY, *BINARY, *NORMS, "cast", "identity"))
"""Ops whose result has the broadcast shape of their operands."""
REARRANGING = frozenset(("reshape", "transpose", "expand_dims", "squeeze"))
"""Ops whose result has as many elements as their operand."""
OPERANDS = ("x", "y", "cond", "a", "b")


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


def _no_upper_bound(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    for feature in features(function):
        axes = [axis for axis, (_, most) in enumerate(feature.ranges) if most is None]
        if axes:
            yield Hit(f"{feature.name} has no upper bound (axis {listed(axes)}): judged up to its default alone")


def _unknown_size(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    """Inputs that nothing tells the size of, not even a default."""
    for item in function.inputs:
        tensor = as_tensor(item.type)
        if tensor is None or (tensor.shape is not None and None not in tensor.shape):
            continue
        axes = [axis for axis, extent in enumerate(tensor.shape or ()) if extent is None]
        what = f"axis {listed(axes)} of {item.name}" if axes else item.name
        yield Hit(f"nothing tells how large {what} is: it counts as 1 in every figure")


def _misfit(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    """Of several flexible inputs nobody knows which sizes go together."""
    found = function.misfit
    if found is not None and sum(feature.flexible for feature in features(function)) <= 1:
        op = function.by_index[found.index]
        yield Hit(f"{op.type} can't take what it gets at an allowed size: {found.reason}", op)


def _fixed_results(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    """Values that depend on an input of listed shapes and are declared with one of them."""
    flexible = enumerated(function)
    if not flexible:
        return
    types = {item.name: as_tensor(item.type) for item in function.inputs}
    for feature in flexible:
        tensor = types.get(feature.name)
        if tensor is not None and tensor.shape is not None and None not in tensor.shape:
            yield Hit(f"{feature.name} lists {len(feature.enumerated)} shapes, the program declares {tensor}")
    for op in function.ops:
        result = op.result
        if result is not None and result.shape is not None and _loses(op, result.shape):
            yield Hit(f"the result is declared {result}, though an operand has an extent that varies", op)


def _loses(op: Op, result: Shape) -> bool:
    if op.type in REARRANGING:
        taken = op.shape("x")
        return taken is not None and None in taken and None not in result and 0 not in taken
    if op.type not in BROADCASTING:
        return False
    shapes = [op.shape(operand) for operand in OPERANDS if op.has(operand)]
    known = [shape for shape in shapes if shape is not None]
    return len(known) == len(shapes) and any(None in shape for shape in known) and _drops(known, result)


def _drops(shapes: Sequence[Shape], result: Shape) -> bool:
    """Whether a result has a fixed extent where its operands have an unknown one and nothing larger than 1."""
    for place in range(1, len(result) + 1):
        extents = {shape[-place] for shape in shapes if len(shape) >= place}
        if None in extents and extents <= {None, 1} and result[-place] is not None:
            return True
    return False


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
        FunctionRule(
            code="ANE-SH-106",
            name="lost-extent",
            declared=True,
            summary="a value that varies with the input is declared with the extent of the default shape",
            severity=Severity.NUMERICS,
            evidence="B",
            confidence="M",
            why="""
                The buffer of such a value is allocated at the default shape, and larger inputs are cut off in silence.
                Converters other than coremltools write this.
            """,
            fix="Declare the varying extent as unknown on every value that follows the input.",
            source="savageAZfck/mil_spec crates/mil_convert/tests/probe_enum_shapes.rs:121-124",
            find=_fixed_results,
            fires="""
                x: enum[fp16[1, 80, 1, 128], fp16[1, 80, 1, 512]]
                y: fp16[1, 80, 1, 128] = relu(x=x)
                return y
            """,
            silent="""
                x: enum[fp16[1, 80, 1, 128], fp16[1, 80, 1, 512]]
                y: fp16[1, 80, 1, _] = relu(x=x)
                return y
            """,
        ),
        MisfitRule(
            code="ANE-SH-107",
            name="size-that-does-not-fit",
            summary="at a shape that the package allows, the shapes of an op's operands don't fit together",
            severity=Severity.WARNING,
            evidence="M",
            confidence="M",
            why="""
                Shapes were worked out through the program from those of its inputs. At this one an op gets operands
                that it can't take, such as a window longer than its axis: a prediction fails there, whatever it runs
                on.
            """,
            fix="Let the package allow only shapes at which the model works: raise the lower bound, or list them.",
            source="mctc",
            find=_misfit,
            fires="""
                x: fp16[1, 8, 1:512]
                y: fp16[1, 8, _] = conv(x=x, weight=fp16[8, 8, 5], strides=[1], pad_type="valid", groups=1)
                return y
            """,
            silent="""
                x: fp16[1, 8, 5:512]
                y: fp16[1, 8, _] = conv(x=x, weight=fp16[8, 8, 5], strides=[1], pad_type="valid", groups=1)
                return y
            """,
        ),
        FunctionRule(
            code="ANE-SH-108",
            name="unknown-size",
            summary="nothing tells how large an input is: every figure counts that axis as 1",
            severity=Severity.WARNING,
            evidence="M",
            confidence="H",
            why="""
                The program leaves an extent open and no description gives a default, bounds or a list. Sizes, times and
                limits are then those of a tensor that nobody feeds.
            """,
            fix="Name a size: mctc lint --shape x=1x80x1500; or describe the input's shapes in the package.",
            source="mctc",
            find=_unknown_size,
            fires="""
                x: fp16[1, 80, 1, _]
                y: fp16[1, 80, 1, _] = relu(x=x)
                return y
            """,
            silent="""
                x: fp16[1, 80, 1, 64:512]
                y: fp16[1, 80, 1, _] = relu(x=x)
                return y
            """,
        ),
        FunctionRule(
            code="ANE-SH-109",
            name="no-upper-bound",
            declared=True,
            summary="an axis of an input has no upper bound: no limit of size can be checked at its largest",
            severity=Severity.WARNING,
            evidence="A",
            confidence="M",
            why="""
                coremltools refuses to convert an ML program with such an input, and its guide says that a bounded range
                gives the compiler more to optimise by.
            """,
            fix="Give the range an upper bound; --shape judges the largest size that is meant.",
            source=(
                "coremltools converters/_converters_entry.py (inputs with infinite upper_bound); docs-guides "
                "flexible-inputs.md"
            ),
            find=_no_upper_bound,
            fires="""
                x: fp16[1, 80, 1, 64:]
                y: fp16[1, 80, 1, _] = relu(x=x)
                return y
            """,
            silent="""
                x: fp16[1, 80, 1, 64:512]
                y: fp16[1, 80, 1, _] = relu(x=x)
                return y
            """,
        ),
    ),
)
