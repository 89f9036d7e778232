"""An operation called with parts of its operands: what is large is never there as a whole, or only its ends are made.

Fresh memory costs more than most arithmetic. Along some axes an operation does with each place alone what it does with
all: a softmax along every axis but its own, a product of matrices along those of the batch. Along these its operands
can be cut, and the results of the parts are the parts of its result, to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

from mctc.evaluate.coreml.declaration import REGISTRY
from mctc.package.model import Binding, Constant, Function, Operation, Reference
from mctc.package.types import NamedType, TensorType
from mctc.records import dataclass

LARGE = 1 << 21
"""Numbers of a result that is made in parts: 8 MB in float32."""
PART = 1 << 20
"""Numbers of operands and results that are there at a time, if one place along the axis has no more."""

PRODUCTS = 1 << 26
"""Products that a convolution takes of which only the ends are made."""
ENDS = 16
"""Of a convolution's channels an end is one part of so many."""

CHANNELS = {"x": None, "weight": 0, "bias": 0}
"""What a convolution takes, and along which axis that has the channels of its result."""

ELEMENTWISE = frozenset({"elementwise_unary", "elementwise_binary"})
"""Families of operations that work number by number."""
ACTIVATIONS = frozenset({"elu", "gelu", "relu", "sigmoid", "silu", "softplus", "softsign"})
"""The same of another family, which has others, too."""
ALONG = frozenset({"softmax", "concat", "split"})
"""Operations that work along the one axis that they name."""
SIZES = frozenset({"split_sizes"})
"""Operands that say how many places of that axis a result has."""


@dataclass(frozen=True)
class Cut:
    """axis: of the results that are cut, all of `extent` places there; step: places of a part.

    given: along which axis each of what the function takes is cut with them; None for what each place takes whole.
    """

    axis: int
    extent: int
    step: int
    given: tuple[int | None, ...]

    def places(self, *, ends: bool = False) -> list[slice]:
        """The parts in order, or the first and the last of them."""
        begins = range(0, self.extent, self.step)
        if ends and len(begins) > 2:
            return [slice(0, self.step), slice(self.extent - self.step, self.extent)]
        return [slice(begin, min(begin + self.step, self.extent)) for begin in begins]


def cut_of(function: Function) -> Cut | None:
    """How the one operation of a function is cut; None where it isn't large, isn't one, or can't be."""
    operation = _only(function)
    if operation is None or sum(map(_size, function.outputs)) < LARGE:
        return None
    shapes = {_shape(item) for item in (*function.inputs, *function.outputs)}
    ranks = {len(shape) for shape in shapes}
    independent = _independent(operation, _constants(function), next(iter(ranks))) if len(ranks) == 1 else ()
    for axis in independent:
        extents = {shape[axis] for shape in shapes}
        if len(extents) == 1 and (extent := extents.pop()) > 1:
            at_once = sum(map(_size, (*function.inputs, *function.outputs))) // extent
            return Cut(axis, extent, max(1, PART // at_once), (axis,) * len(function.inputs))
    return None


def ends_of(function: Function) -> Cut | None:
    """How it is cut for who wants the ends of its results alone: a convolution in its channels, too, each of which is
    made of all that comes in and of a row of the weight, and of the bias a number."""
    operation = _only(function)
    if operation is None or operation.type != "conv":
        return cut_of(function)
    values = {item.name: item for item in function.inputs}
    named = {key: operation.inputs[key][0] for key in CHANNELS if operation.inputs.get(key)}
    axes = {each.name: CHANNELS[key] for key, each in named.items() if isinstance(each, Reference)}
    groups = [_constant(each, _constants(function)) for each in operation.inputs.get("groups", ())]
    weight = named.get("weight")
    if axes.keys() != values.keys() or len(axes) != len(named) or not isinstance(weight, Reference):
        return None  # a constant has channels of its own
    extent, *row = _shape(values[weight.name]) or (0,)
    alone = all(each is not None and int(each.value()) == 1 for each in groups)
    if not alone or sum(map(_size, function.outputs)) * prod(row) < PRODUCTS:
        return None
    return Cut(1, extent, max(1, extent // ENDS), tuple(axes[item.name] for item in function.inputs))


def part_of(function: Function, cut: Cut, extent: int) -> Function:
    """The function over so many places of what is cut."""
    axes = [*zip(function.inputs, cut.given), *((item, cut.axis) for item in function.outputs)]
    sized = {item.name: item if axis is None else _with(item, axis, extent) for item, axis in axes}
    operations = tuple(
        replace(each, outputs=tuple(sized.get(item.name, item) for item in each.outputs))
        for each in function.operations
    )
    inputs, outputs = (tuple(sized[item.name] for item in each) for each in (function.inputs, function.outputs))
    body = replace(function.body, inputs=inputs, operations=operations)
    return replace(function, inputs=inputs, outputs=outputs, body=body)


def _independent(operation: Operation, held: Mapping[str, Constant], rank: int) -> Sequence[int]:
    """The axes along which it does with each place alone what it does with all; none of what isn't known here."""
    constants = {
        key: [each for each in (_constant(one, held) for one in bound) if each is not None]
        for key, bound in operation.inputs.items()
    }
    if not all(_is_setting(each) for key, given in constants.items() if key not in SIZES for each in given):
        return ()
    if operation.type == "matmul":
        return range(rank - 2)
    if operation.type in ALONG:
        along = [int(each.value()) % rank for each in constants.get("axis", ())]
        return [each for each in range(rank) if each not in along] if along else ()
    declaration = REGISTRY.get(operation.type)
    known = declaration is not None and declaration.family in ELEMENTWISE
    return range(rank) if known or operation.type in ACTIVATIONS else ()


def _only(function: Function) -> Operation | None:
    operations = [each for each in function.operations if each.type != "const"]
    return operations[0] if len(operations) == 1 else None


def _constants(function: Function) -> Mapping[str, Constant]:
    return {each.outputs[0].name: each.attributes["val"] for each in function.operations if each.type == "const"}


def _constant(binding: Binding, held: Mapping[str, Constant]) -> Constant | None:
    return held.get(binding.name) if isinstance(binding, Reference) else binding


def _is_setting(constant: Constant) -> bool:
    """Whether a constant has no axes: the same for every place."""
    return not isinstance(constant.type, TensorType) or constant.type.shape == ()


def _shape(item: NamedType) -> tuple[int, ...]:
    """() where it isn't known, too."""
    shape = item.type.shape if isinstance(item.type, TensorType) else None
    return () if shape is None or None in shape else tuple(extent or 0 for extent in shape)


def _size(item: NamedType) -> int:
    return prod(_shape(item))


def _with(item: NamedType, axis: int, extent: int) -> NamedType:
    shape = list(_shape(item))
    shape[axis] = extent
    assert isinstance(item.type, TensorType)
    return replace(item, type=replace(item.type, shape=tuple(shape)))
