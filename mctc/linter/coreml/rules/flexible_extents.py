"""Extents of values that vary with the input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mctc.linter.coreml.graph import FunctionGraph, Op, Shape, as_tensor
from mctc.linter.coreml.interface import enumerated, features
from mctc.linter.coreml.rule import FunctionRule, Hit, MisfitRule, Severity, listed
from mctc.linter.coreml.support import BINARY, NORMS, UNARY
from mctc.linter.coreml.target import Target

BROADCASTING = frozenset((*UNARY, *BINARY, *NORMS, "cast", "identity"))
"""Ops whose result has the broadcast shape of their operands."""
REARRANGING = frozenset(("reshape", "transpose", "expand_dims", "squeeze"))
"""Ops whose result has as many elements as their operand."""
OPERANDS = ("x", "y", "cond", "a", "b")


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


EXTENTS = (
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
)
