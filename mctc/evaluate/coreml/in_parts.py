"""An operation called with a part of its operands after the other: what is large is never there as a whole.

Fresh memory costs more than most arithmetic. Along some axes an operation does with each place alone what it does with
all: a softmax along every axis but its own, a product of matrices along those of the batch. Along these its operands
can be cut, and the results of the parts are the parts of its result, to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    """axis: along which operands and results are cut, all of the same extent there; step: places of a part."""

    axis: int
    extent: int
    step: int

    def places(self) -> Iterator[slice]:
        """The parts, in order."""
        for begin in range(0, self.extent, self.step):
            yield slice(begin, min(begin + self.step, self.extent))


def cut_of(function: Function) -> Cut | None:
    """How the one operation of a function is cut; None where it isn't large, isn't one, or can't be."""
    operations = [each for each in function.operations if each.type != "const"]
    if len(operations) != 1 or sum(map(_size, function.outputs)) < LARGE:
        return None
    held = {each.outputs[0].name: each.attributes["val"] for each in function.operations if each.type == "const"}
    shapes = {_shape(item) for item in (*function.inputs, *function.outputs)}
    ranks = {len(shape) for shape in shapes}
    independent = _independent(operations[0], held, next(iter(ranks))) if len(ranks) == 1 else ()
    for axis in independent:
        extents = {shape[axis] for shape in shapes}
        if len(extents) == 1 and (extent := extents.pop()) > 1:
            at_once = sum(map(_size, (*function.inputs, *function.outputs))) // extent
            return Cut(axis, extent, max(1, PART // at_once))
    return None


def part_of(function: Function, axis: int, extent: int) -> Function:
    """The function over so many places along an axis of all that it takes and gives."""
    sized = {item.name: _with(item, axis, extent) for item in (*function.inputs, *function.outputs)}
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
