"""The form of a package (ANE-GR-9xx): what mctc says by itself, no measurement; part of the family `whole-graph`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mctc.hardware.systems import GENERATIONS, PLATFORMS, System, generation_of_opset
from mctc.linter.coreml.forms import axes
from mctc.linter.coreml.graph import FunctionGraph, Op, PackageGraph, Shape
from mctc.linter.coreml.rule import FunctionRule, Hit, OpRule, PackageRule, Severity
from mctc.linter.coreml.scopes import strays
from mctc.linter.coreml.target import Scope, Target, opset_needs
from mctc.package import Description, TensorType
from mctc.package.dtypes import DTYPES
from mctc.package.types import differ

VERSIONS = tuple(version for version, _, _ in GENERATIONS)
NEWEST_OPSET = GENERATIONS[-1][1]

UNCHANGED = (
    "relu", "relu6", "sigmoid", "tanh", "silu", "gelu", "softplus", "softsign", "erf", "exp", "exp2", "log", "sqrt",
    "rsqrt", "inverse", "sin", "cos", "atan", "floor", "ceil", "round", "sign", "square", "abs", "clip", "elu", "prelu",
    "leaky_relu", "sigmoid_hard", "thresholded_relu", "scaled_tanh", "clamped_relu", "linear_activation", "softmax",
    "layer_norm", "instance_norm", "batch_norm", "l2_norm", "local_response_norm", "cumsum", "reverse",
)  # fmt: skip
"""The result has the type of x."""
ARITHMETIC = ("add", "sub", "mul", "real_div", "floor_div", "mod", "pow", "maximum", "minimum")
COMPARISONS = ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")


def _needs_newer(package: PackageGraph, target: Target) -> Iterator[Hit]:
    """Only for a system that the user stated: else the target follows from the opset."""
    for system in target.systems if "os" in target.stated else ():
        newer = {name: each.function.opset for name, each in package.functions.items()}
        newer = {name: opset for name, opset in newer.items() if _is_too_new(opset, system)}
        for name, opset in newer.items():
            yield Hit(f"opset {opset} needs {opset_needs(opset)}, the target is {system}", function=name)
        version = package.package.spec_version
        reads = VERSIONS[system.generation] if system.generation >= 0 else 0
        if not newer and version in VERSIONS and version > reads:
            needed = opset_needs(GENERATIONS[VERSIONS.index(version)][1])
            yield Hit(f"specification version {version} needs {needed}, the target is {system}")


def _is_too_new(opset: str, system: System) -> bool:
    """An opset that isn't known is too new for the systems that are known, if its number is beyond theirs."""
    generation = generation_of_opset(opset)
    if generation is not None:
        return generation > system.generation
    known = system.major <= GENERATIONS[-1][2][system.platform]
    return known and _number(opset) > _number(NEWEST_OPSET)


def _number(opset: str) -> int:
    found = re.fullmatch(r"CoreML(\d{1,4})", opset)
    return int(found.group(1)) if found else 0


def _unknown_version(package: PackageGraph, _: Target) -> Iterator[Hit]:
    for name, function in package.functions.items():
        opset = function.function.opset
        if generation_of_opset(opset) is None:
            yield Hit(f"opset {opset or '(none)'} isn't known, the newest known is {NEWEST_OPSET}", function=name)
    version = package.package.spec_version
    if version not in VERSIONS:
        yield Hit(f"specification version {version} isn't known, known are {VERSIONS[0]} to {VERSIONS[-1]}")


def _undefined(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    for stray in strays(function.function):
        operation = stray.operation
        if operation is None:
            yield Hit(f"the function returns {stray.name}, {stray.reason}")
            continue
        does = "makes" if any(result.name == stray.name for result in operation.outputs) else "takes"
        about = function.by_index.get(operation.index)
        yield Hit(f"{operation.type} {does} {stray.name}, {stray.reason}", about if about in function.ops else None)


def _interface(package: PackageGraph, _: Target) -> Iterator[Hit]:
    for name, function in package.functions.items():
        if not function.outputs:
            yield Hit("it returns nothing", function=name)
        described = package.package.descriptions.get(name, Description((), (), ()))
        for kind, told, there in _both_sides(described, function) if described != Description((), (), ()) else ():
            for each in sorted(told - there):
                yield Hit(f"the model description has the {kind} {each}, the function has not", function=name)
            for each in sorted(there - told):
                yield Hit(f"the function has the {kind} {each}, the model description has not", function=name)


def _both_sides(described: Description, function: FunctionGraph) -> Iterator[tuple[str, set[str], set[str]]]:
    """Of inputs, outputs and states: the names in the model description, and those of the function."""
    for kind, told, there in (
        ("input", described.inputs, function.inputs),
        ("output", described.outputs, function.outputs),
        ("state", described.states, function.states),
    ):
        yield kind, {each.name for each in told}, {each.name for each in there}


def _impossible(op: Op, _: Target) -> str | None:
    result = op.result
    if result is None:
        return None
    if op.type == "cast":
        named = op.value("dtype")
        known = isinstance(named, str) and named in DTYPES
        return f"cast to {named} declares {result}" if known and named != result.dtype else None
    x = op.tensor("x")
    if x is None or not x.shape or not result.shape:  # a scalar may be declared with no axis or with one
        return None
    possible = _possible(op, x)
    if possible is None or not differ(possible, result):
        return None
    return f"{op.type} can't make {result}: its operands make {possible}"


def _possible(op: Op, x: TensorType) -> TensorType | None:
    """What an op can make of its operands; None where that isn't known for certain."""
    if op.type in UNCHANGED:
        return x
    shape = x.shape or ()
    if op.type == "transpose":
        perm = axes(op, "perm")
        certain = sorted(perm) == list(range(len(shape)))
        return TensorType(x.dtype, tuple(shape[place] for place in perm)) if certain else None
    if op.type == "linear":
        weight = op.shape("weight") or ()
        return TensorType(x.dtype, (*shape[:-1], weight[0])) if len(weight) == 2 else None
    y = op.tensor("y")
    if y is None or y.shape is None or op.result is None:
        return None
    dtype = "bool" if op.type in COMPARISONS else x.dtype
    return TensorType(dtype, _broadcast(shape, y.shape))


def _broadcast(one: Shape, other: Shape) -> Shape:
    """The shape of two operands together; None for an extent that isn't certain."""
    count = max(len(one), len(other))
    pairs = zip((1,) * (count - len(one)) + one, (1,) * (count - len(other)) + other)
    return tuple(a if a == b or b == 1 else b if a == 1 else None for a, b in pairs)


FORM = (
    PackageRule(
        code="ANE-GR-901",
        name="newer-system-needed",
        summary="the package needs a newer system than the stated one",
        severity=Severity.ERROR,
        evidence="M",
        confidence="H",
        scope=Scope(platforms=frozenset(PLATFORMS)),
        why="""
            Every opset and specification version has a first iOS and macOS; older ones don't load the package at all.
            The figures are those of coremltools' targets.
        """,
        fix="Convert with minimum_deployment_target of the oldest system that matters, or state a newer system.",
        source="coremltools AvailableTarget; mctc.hardware.systems",
        find=_needs_newer,
        fires="""
            opset = "CoreML10"
            x: fp16[1, 64]
            y: fp16[1, 64] = relu(x=x)
            return y
        """,
        silent="""
            opset = "CoreML9"
            x: fp16[1, 64]
            y: fp16[1, 64] = relu(x=x)
            return y
        """,
    ),
    PackageRule(
        code="ANE-GR-902",
        name="unknown-version",
        summary="an opset or a specification version that mctc doesn't know",
        severity=Severity.INFO,
        evidence="M",
        confidence="H",
        why="What a new opset adds or changes isn't known here: findings and placement are those of the newest known.",
        fix="Look for a newer mctc.",
        source="mctc.hardware.systems",
        find=_unknown_version,
        fires="""
            opset = "CoreML12"
            x: fp16[1, 64]
            y: fp16[1, 64] = relu(x=x)
            return y
        """,
        silent="""
            opset = "CoreML9"
            x: fp16[1, 64]
            y: fp16[1, 64] = relu(x=x)
            return y
        """,
    ),
    FunctionRule(
        code="ANE-GR-903",
        name="undefined-value",
        summary="an op takes a value that nothing defines before it, or makes one whose name is taken",
        severity=Severity.ERROR,
        evidence="M",
        confidence="H",
        why="""
            A value is an input, a state, or what an op before made in the same block or one around it, and no two have
            the same name there. Another program can't be compiled anywhere.
        """,
        fix="Write the package anew with the tool that made it; a name was lost or misspelt when it was edited.",
        source="coremltools MIL.proto (bindings are names of values)",
        find=_undefined,
        fires="""
            x: fp16[1, 64]
            y: fp16[1, 64] = add(x=x, y=lost)
            return y
        """,
        silent="""
            x: fp16[1, 64]
            y: fp16[1, 64] = add(x=x, y=fp16[64])
            return y
        """,
    ),
    OpRule(
        code="ANE-GR-904",
        name="impossible-result",
        summary="an op's declared result can't come of its operands",
        severity=Severity.ERROR,
        evidence="M",
        confidence="H",
        ops=("cast", "transpose", "linear", *UNCHANGED, *ARITHMETIC, *COMPARISONS),
        why="""
            The declared element type or shape contradicts what the op is defined to make. Only ops are looked at where
            that is certain: elementwise ones, norms, casts, transposes and linear layers.
        """,
        fix="Write the package anew with the tool that made it; types were left behind when it was edited.",
        source="coremltools MIL op definitions (type inference)",
        find=_impossible,
        fires="""
            x: fp16[1, 64]
            y: fp16[1, 64, 64] = add(x=x, y=fp16[64])
            return y
        """,
        silent="""
            x: fp16[1, 64, 1]
            y: fp16[1, 64, 64] = add(x=x, y=fp16[64])
            return y
        """,
    ),
    PackageRule(
        code="ANE-GR-905",
        name="interface-mismatch",
        summary="a function returns nothing, or has other inputs and outputs than the model description says",
        severity=Severity.ERROR,
        evidence="AM",
        confidence="M",
        why="""
            Core ML refuses a model without outputs ("Models must have one or more outputs"), and an app passes and gets
            values by the names of the description.
        """,
        fix="Write the package anew with the tool that made it, or rename with coremltools' rename_feature.",
        source="coremltools mlmodel/src/Validation/InterfaceValidators.cpp; FeatureTypes.proto and Model.proto",
        find=_interface,
        fires="""
            x: fp16[1, 64]
            y: fp16[1, 64] = relu(x=x)
            return
        """,
        silent="""
            x: fp16[1, 64]
            y: fp16[1, 64] = relu(x=x)
            return y
        """,
    ),
)
