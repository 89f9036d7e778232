"""A function with the shapes that its values have for given shapes of its inputs."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from mctc.diagnostics.errors import MctcError
from mctc.evaluate.coreml.declaration import REGISTRY
from mctc.evaluate.coreml.shapes.known import (
    READ,
    UNKNOWN,
    Undetermined,
    extents_of,
    is_known,
    is_open,
    is_value,
    of_constant,
    of_type,
    settled,
    shape_vector,
    stand_in,
)
from mctc.evaluate.coreml.shapes.rules import LISTS, MOVES, RULES
from mctc.evaluate.coreml.steps import OP_ERRORS
from mctc.package.model import Block, Constant, Function, Operation, Reference
from mctc.package.types import ListType, NamedType, StateType, TensorType, ValueType
from mctc.records import dataclass

_DRAWN = "random_"
_CARRIED: dict[str, tuple[str, ...]] = {"gather": ("indices",), "concat": (), "stack": ()}
"""Ops that pass elements on, known or not, and the operands that must be known."""
_GROWN = frozenset({"fill", "one_hot", "tile", "range_1d", "pad"})
"""Ops whose result may be far larger than what they take."""


@dataclass(frozen=True)
class Misfit:
    """The first operation whose operands don't fit together, and why."""

    operation: Operation
    reason: str


@dataclass(frozen=True)
class Propagated:
    """function: with types of these shapes; an extent is None where only a run tells it. misfit: None where all fit."""

    function: Function
    misfit: Misfit | None


def at_shapes(function: Function, shapes: Mapping[str, tuple[int, ...]]) -> Propagated:
    """The function for inputs of these shapes; inputs without one keep what is declared.

    Operations inside branches and loops that don't fit are no misfit: at this size they may never run.
    """
    walk = _Walk()
    inputs = tuple(NamedType(item.name, _shaped(item.type, shapes.get(item.name))) for item in function.inputs)
    for item in (*inputs, *function.states):
        walk.take(item)
    body = walk.block(function.body, 0)
    outputs = tuple(NamedType(item.name, walk.types.get(item.name, item.type)) for item in function.outputs)
    return Propagated(replace(function, inputs=inputs, outputs=outputs, body=body), walk.misfit)


def _shaped(type_: ValueType, shape: tuple[int, ...] | None) -> ValueType:
    return replace(type_, shape=shape) if isinstance(type_, TensorType) and shape is not None else type_


class _Walk:
    """Goes through the operations of a function in order. values: what is known of each; None where not even a rank."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.types: dict[str, ValueType] = {}
        self.misfit: Misfit | None = None

    def take(self, item: NamedType) -> None:
        """A value that comes from outside."""
        self.types[item.name] = item.type
        inner = item.type.wrapped if isinstance(item.type, StateType) else item.type
        self.values[item.name] = of_type(inner) if isinstance(inner, TensorType) else None

    def block(self, block: Block, depth: int) -> Block:
        return replace(block, operations=tuple(self.operation(each, depth) for each in block.operations))

    def operation(self, operation: Operation, depth: int) -> Operation:
        """The operation with the types that its results have here."""
        if operation.type == "const":
            return self._constant(operation)
        if operation.type == "while_loop" and len(operation.blocks) == 2:
            return self._loop(operation, depth)
        blocks = tuple(self.block(each, depth + 1) for each in operation.blocks)
        found: Sequence[Any] = ()
        try:
            found = self._branches(blocks) if operation.type == "cond" else self._results(operation)
        except Undetermined:
            pass
        except (*OP_ERRORS, MctcError) as error:
            if not depth and self.misfit is None and self._is_certain(operation):
                self.misfit = Misfit(operation, str(error))
        outputs = tuple(
            self._finish(item, found[place] if place < len(found) else None)
            for place, item in enumerate(operation.outputs)
        )
        same = all(new is old for new, old in zip(outputs, operation.outputs, strict=True))
        return operation if same and not blocks else replace(operation, outputs=outputs, blocks=blocks)

    def _constant(self, operation: Operation) -> Operation:
        value = operation.attributes.get("val")
        for item in operation.outputs:
            self.types[item.name] = item.type
            self.values[item.name] = of_constant(value) if value is not None else None
        return operation

    def _finish(self, item: NamedType, value: Any) -> NamedType:
        """Notes a result and gives its type; what is declared where nothing was found."""
        type_ = item.type
        if isinstance(type_, TensorType) and value is not None:
            value = settled(value if is_value(value) else np.asarray(value), type_.dtype)
            shape = extents_of(value)
            if shape != type_.shape:
                item = NamedType(item.name, replace(type_, shape=shape))
        elif isinstance(type_, TensorType):
            value = of_type(type_)
        elif isinstance(type_, ListType):  # of a list, what is known is an element
            value = of_type(type_.element) if value is None else value
        self.types[item.name] = item.type
        self.values[item.name] = value
        return item

    def _value(self, binding: Reference | Constant) -> Any:
        value = self.values.get(binding.name) if isinstance(binding, Reference) else of_constant(binding)
        if value is None:
            raise Undetermined
        return value

    def _operands(self, operation: Operation) -> dict[str, Any]:
        lists = REGISTRY[operation.type].lists
        return {
            key: [self._value(each) for each in bindings] if key in lists else self._value(bindings[0])
            for key, bindings in operation.inputs.items()
            if bindings
        }

    def _results(self, operation: Operation) -> Sequence[Any]:
        """Values or stand-ins of the results. Raises Undetermined, and whatever operands that don't fit raise."""
        type_ = operation.type
        if type_ == "read_state":
            return [self._value(operation.inputs["input"][0])]
        if type_ == "coreml_update_state":
            return [self._value(operation.inputs["value"][0])]
        if type_ not in REGISTRY or type_.startswith("constexpr_"):
            raise Undetermined
        operands = self._operands(operation)
        if type_ == "shape":
            return [shape_vector(operands["x"])]
        if type_ in LISTS:
            return [stand_in(LISTS[type_](**operands))]
        if type_ in ("cast", "identity") and not is_known(operands["x"]):
            return [operands["x"]]
        if type_ in MOVES or self._is_small(operation, operands):
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the mean of nothing
                found = REGISTRY[type_].function(**operands)
            return found if isinstance(found, tuple) else (found,)
        if type_ not in RULES:
            raise Undetermined
        return [stand_in(shape) for shape in RULES[type_](**operands)]

    def _is_small(self, operation: Operation, operands: Mapping[str, Any]) -> bool:
        """Whether the values themselves can be computed: sizes are made of such."""
        type_ = operation.type
        if type_.startswith(_DRAWN) or any(getattr(each, "size", 0) > READ for each in _each(operands.values())):
            return False
        needed = _CARRIED.get(type_, tuple(operands))
        if not all(is_known(each) for each in _each(operands[key] for key in needed)):
            return False
        return type_ not in _GROWN or all(prod(shape) <= READ for shape in RULES[type_](**operands))

    def _branches(self, blocks: Sequence[Block]) -> list[Any]:
        """What both branches give where they agree on it."""
        found = []
        for names in zip(*(block.outputs for block in blocks), strict=True):
            values = [self.values.get(name) for name in names]
            shapes = {value.shape for value in values if is_value(value)}
            agreed = len(shapes) == 1 and all(is_value(value) for value in values)
            found.append(stand_in(shapes.pop()) if agreed else None)
        return found

    def _loop(self, operation: Operation, depth: int) -> Operation:
        """A loop's variables keep the shapes that they enter with where the body gives the same ones back."""
        bindings = operation.inputs.get("loop_vars", ())
        entering = [self.values.get(b.name) if isinstance(b, Reference) else None for b in bindings]
        blocks = operation.blocks
        for again in (False, True):
            for block in operation.blocks:
                for item, value in zip(block.inputs, entering, strict=False):
                    self._finish(item, stand_in(value.shape) if is_value(value) else None)
            blocks = tuple(self.block(each, depth + 1) for each in operation.blocks)
            leaving = [self.values.get(name) for name in blocks[1].outputs]
            lists = [isinstance(item.type, ListType) for item in operation.outputs]
            kept = [_agreed(*each) for each in zip(entering, leaving, lists, strict=False)]
            if again or all(a is b for a, b in zip(kept, entering, strict=False)):
                break
            entering = kept
        typed = tuple(
            replace(
                block,
                inputs=tuple(NamedType(item.name, self.types.get(item.name, item.type)) for item in block.inputs),
            )
            for block in blocks
        )
        outputs = tuple(
            self._finish(item, stand_in(value.shape) if is_value(value) else None)
            for item, value in zip(operation.outputs, [*entering, *[None] * len(operation.outputs)], strict=False)
        )
        return replace(operation, outputs=outputs, blocks=typed)

    def _is_certain(self, operation: Operation) -> bool:
        """Whether all that an operation takes is known as far as its shape goes."""
        values = [
            self.values.get(each.name) if isinstance(each, Reference) else of_constant(each)
            for bindings in operation.inputs.values()
            for each in bindings
        ]
        return all(value is not None for value in values) and not any(
            is_open(extent) for value in values if is_value(value) for extent in value.shape
        )


def _each(operands: Iterable[Any]) -> Iterator[Any]:
    """The values of operands, those of lists one by one."""
    for value in operands:
        yield from value if isinstance(value, list) else (value,)


def _agreed(entering: Any, leaving: Any, is_list: bool) -> Any:
    """`entering` itself where both have one shape; else a stand-in with the extents that both have.

    A list is made before anything is in it, so its elements' extents may be known only when they leave.
    """
    if not is_value(entering) or not is_value(leaving):
        return None
    if entering.shape == leaving.shape:
        return entering
    if entering.ndim != leaving.ndim:
        return None
    return stand_in(
        b if a == b or (is_list and is_open(a)) else UNKNOWN for a, b in zip(entering.shape, leaving.shape, strict=True)
    )
