"""Functions of a program: from protobuf messages to records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from sys import intern
from typing import Any

from mctc.package.errors import PackageError
from mctc.package.model import Binding, Block, Constant, Function, Operation, Reference
from mctc.package.place import Place
from mctc.package.types import NamedType, StateType
from mctc.package.values import Constants

_OPERATIONS_LIMIT = 1_000_000
"""Operations that are read of one program: a hundred times the largest one known, and about 1 GB of records."""


NO_INPUTS: Mapping[str, tuple[Binding, ...]] = {}
"""What operations without inputs share: most operations are constants."""


class Limits:
    """Counts the operations of a program. Raises PackageError when there are too many."""

    def __init__(self) -> None:
        self._left = _OPERATIONS_LIMIT

    def take(self, where: Place) -> None:
        """One operation more."""
        self._left -= 1
        if self._left < 0:
            raise PackageError(f"{where}: a program of more than {_OPERATIONS_LIMIT} operations isn't read")


class FunctionReader:
    """Reads one function; counts its operations."""

    def __init__(self, function: str, constants: Constants, limits: Limits) -> None:
        self._place = Place(function)
        self._constants = constants
        self._limits = limits
        self._count = 0

    def function(self, message: Any) -> Function:
        """The record for a Function message, with the body of its opset."""
        block = message.block_specializations.get(message.opset) if message.opset else None
        if block is None:
            found = ", ".join(message.block_specializations) or "none"
            raise PackageError(f"{self._place}: no body for its opset {message.opset!r} (bodies: {found})")
        inputs = self._named(message.inputs, self._place)
        return make_function(self._place, message.opset, inputs, self._block(block))

    def _block(self, message: Any) -> Block:
        return Block(
            self._named(message.inputs, self._place),
            tuple(map(intern, message.outputs)),
            tuple(self._operation(item) for item in message.operations),
        )

    def _operation(self, message: Any) -> Operation:
        index = self._count
        self._count += 1
        type_ = intern(message.type)
        place = Place(self._place.function, index, type_)
        self._limits.take(place)
        constant, values, arguments = self._constants.constant, message.attributes, message.inputs
        attributes = {intern(key): constant(values[key], place) for key in sorted(values)}
        outputs = self._named(message.outputs, place)
        return Operation(
            index=index,
            type=type_,
            name=operation_name(attributes, outputs, index),
            inputs={
                intern(key): tuple([self._binding(binding, place) for binding in arguments[key].arguments])
                for key in sorted(arguments)
            }
            if arguments
            else NO_INPUTS,
            outputs=outputs,
            attributes=attributes,
            blocks=tuple([self._block(block) for block in message.blocks]),
        )

    def _named(self, messages: Iterable[Any], where: Place) -> tuple[NamedType, ...]:
        return tuple([NamedType(intern(item.name), self._constants.type(item.type, where)) for item in messages])

    def _binding(self, message: Any, where: Place) -> Binding:
        if message.WhichOneof("binding") == "name":
            return Reference(intern(message.name))
        return self._constants.constant(message.value, where)


def make_function(place: Place, opset: str, inputs: Sequence[NamedType], body: Block) -> Function:
    """A function of a body, its inputs and states told apart. Raises PackageError when a result is never computed."""
    types = {item.name: item.type for item in inputs}
    types.update((item.name, item.type) for operation in body.operations for item in operation.outputs)
    missing = next((name for name in body.outputs if name not in types), None)
    if missing is not None:
        raise PackageError(f"{place}: the result '{missing}' is never computed")
    return Function(
        name=place.function,
        opset=opset,
        inputs=tuple(item for item in inputs if not isinstance(item.type, StateType)),
        states=tuple(item for item in inputs if isinstance(item.type, StateType)),
        outputs=tuple(NamedType(name, types[name]) for name in body.outputs),
        body=body,
    )


def operation_name(attributes: Mapping[str, Constant], outputs: Sequence[NamedType], index: int) -> str:
    """The name an operation was given; its first result's where it has none."""
    name = attributes["name"].value() if "name" in attributes else None
    if isinstance(name, str) and name:
        return name
    return outputs[0].name if outputs else f"op_{index}"
