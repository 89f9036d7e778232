"""A function of a package in pieces: the operations between some values and others, as functions of their own."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import cached_property
from hashlib import sha256

import numpy as np

from mctc.evaluate.coreml.in_parts import Cut, cut_of, ends_of, part_of
from mctc.evaluate.coreml.precision import Array
from mctc.evaluate.parts import Frame, Place
from mctc.package.model import Binding, Block, Constant, Function, Operation, Reference
from mctc.package.types import NamedType, TensorType
from mctc.records import dataclass

Call = Callable[[Mapping[str, Array]], list[Array]]
Compile = Callable[[Function], Call]

STATES = frozenset({"read_state", "write_state", "coreml_update_state"})
"""Operations that read or change what lives between calls."""


@dataclass(frozen=True)
class Piece:
    """Operations as a function; `likeness` is the same for pieces that differ in nothing but names."""

    function: Function
    compiled: Compile
    likeness: Hashable

    def __call__(self, arrays: Sequence[Array]) -> list[Array]:
        """Results in order for arrays in order. Raises what compiling and running a function raises."""
        return self._call(self._named(arrays))

    def in_parts(self, arrays: Sequence[Array], *, ends: bool = False) -> Iterator[tuple[Place, list[Array]]]:
        """The same a part after the other where results are large and operands can be cut."""
        cut = self._ends if ends else cut_of(self.function)
        if cut is None or not all(map(_fits, self.function.inputs, arrays)):
            yield (), self(arrays)
            return
        calls: dict[int, Call] = {}  # by places of a part: the last one may have fewer
        for places in cut.places(ends=ends):
            size, place = places.stop - places.start, _at(cut.axis, places)
            if size not in calls:
                calls[size] = self.compiled(part_of(self.function, cut, size))
            given = [
                array if axis is None else array[_at(axis, places)]
                for axis, array in zip(cut.given, arrays, strict=True)
            ]
            yield place, calls[size](self._named(given))

    @property
    def cut_along(self) -> int | None:
        """The axis of results whose ends are made alone where that is asked for."""
        return None if self._ends is None else self._ends.axis

    @cached_property
    def _ends(self) -> Cut | None:
        return ends_of(self.function)

    @property
    def shapes(self) -> list[tuple[int | None, ...] | None]:
        """Of the results, as they are declared."""
        return [item.type.shape if isinstance(item.type, TensorType) else None for item in self.function.outputs]

    def _named(self, arrays: Sequence[Array]) -> dict[str, Array]:
        return dict(zip((item.name for item in self.function.inputs), arrays, strict=True))

    @cached_property
    def _call(self) -> Call:
        return self.compiled(self.function)


class Pieces:
    """The pieces of one function. compiled: makes a function ready to be called."""

    def __init__(self, function: Function, compiled: Compile) -> None:
        self.function, self.compiled = function, compiled
        self._inputs = {item.name: item for item in function.inputs}
        self._made = {item.name: operation for operation in function.operations for item in operation.outputs}
        self._digests: dict[str, Hashable] = {}
        self._taken: set[int] = set()  # operations that lie in a piece

    def between(self, takes: Sequence[str], gives: Sequence[str]) -> Piece | None:
        """The operations that make the values `gives` of the values `takes` and of constants.

        None where they need another input or a state, or hold blocks, or a name is unknown.
        """
        operations: dict[int, Operation] = {}
        waiting = [name for name in gives if name not in takes]
        while waiting:
            operation = self._made.get(waiting.pop())
            if operation is None or operation.blocks or operation.type in STATES:
                return None
            if operation.index not in operations:
                operations[operation.index] = operation
                waiting += [name for name in _read(operation) if name not in takes]
        types = [self._type(name) for name in (*takes, *gives)]
        inputs, outputs = tuple(filter(None, types[: len(takes)])), tuple(filter(None, types[len(takes) :]))
        if None in types:
            return None
        self._taken |= operations.keys()
        ordered = tuple(operations[index] for index in sorted(operations))
        body = Block(inputs, tuple(gives), ordered)
        function = Function(self.function.name, self.function.opset, inputs, (), outputs, body)
        return Piece(function, self.compiled, self._likeness(function))

    def stored(self, name: str) -> tuple[Hashable, list[Array]]:
        """What a const or constexpr operation is made of, by its operands' names in order, and its kind and types."""
        kind, held = self._held(name)
        return kind, [each.value() for each in held]

    def lies(self, name: str) -> Hashable:
        """Where in which file all of that lies, and what is made of it; None of what is written in the program."""
        kind, held = self._held(name)
        places = tuple(each.place for each in held)
        return (kind, places) if held and None not in places else None

    def _held(self, name: str) -> tuple[Hashable, list[Constant]]:
        operation = self._made.get(name)
        if operation is None or not operation.type.startswith("const"):
            return None, []
        found = {"val": operation.attributes["val"]} if operation.type == "const" else _constants(operation)
        held = [each for _, each in sorted(found.items())]
        types = tuple((key, each.type) for key, each in sorted(found.items()))  # a scale's shape says what it scales
        return (operation.type, types, operation.outputs[0].type), held

    def is_as_stored(self, name: str) -> bool:
        """Whether a value is that of a const operation, of the type that this declares."""
        operation = self._made.get(name)
        if operation is None or operation.type != "const":
            return False
        return operation.attributes["val"].type == operation.outputs[0].type

    def frame(self) -> Frame | None:
        """Inputs and outputs by name, and states by what is read of them and written.

        None where a state is not read once and then written once, or used in another way.
        """
        uses: dict[str, list[Operation]] = {item.name: [] for item in self.function.states}
        for operation in self.function.walk():
            for name in _read(operation):
                if name in uses:
                    uses[name].append(operation)
        states = {}
        for state, used in uses.items():
            if [operation.type for operation in used] != ["read_state", "write_state"]:
                return None
            (written,) = used[1].inputs["data"]
            if not isinstance(written, Reference):
                return None
            states[state] = used[0].outputs[0].name, written.name
        return Frame(tuple(self._inputs), self.function.body.outputs, states)

    def rest(self) -> list[str]:
        """Operations that lie in no piece so far, but for constants and what reads or writes a state."""
        return [
            str(operation)
            for operation in self.function.walk()
            if operation.index not in self._taken
            and operation.type not in STATES
            and not operation.type.startswith("const")
        ]

    def _type(self, name: str) -> NamedType | None:
        if name in self._inputs:
            return self._inputs[name]
        operation = self._made.get(name)
        return None if operation is None else next(item for item in operation.outputs if item.name == name)

    def _likeness(self, function: Function) -> Hashable:
        """The function's text with places in it for names, and digests for constants."""
        places = {item.name: place for place, item in enumerate(function.inputs)}
        told: list[Hashable] = [tuple(item.type for item in function.inputs)]
        for operation in function.operations:
            if operation.type == "const":
                name = operation.outputs[0].name
                places[name] = len(places)
                if name not in self._digests:
                    self._digests[name] = _digest(operation.attributes["val"])
                told.append((operation.outputs[0].type, self._digests[name]))
                continue
            operands = tuple(
                (key, tuple(_told(each, places) for each in bound)) for key, bound in sorted(operation.inputs.items())
            )
            others = tuple((key, _digest(each)) for key, each in sorted(operation.attributes.items()) if key != "name")
            for item in operation.outputs:
                places[item.name] = len(places)
            told.append((operation.type, operands, others, tuple(item.type for item in operation.outputs)))
        return (*told, tuple(places[name] for name in function.body.outputs))


def _at(axis: int, places: slice) -> Place:
    return (*(slice(None),) * axis, places)


def _fits(item: NamedType, array: Array) -> bool:
    return isinstance(item.type, TensorType) and item.type.shape == array.shape


def _constants(operation: Operation) -> dict[str, Constant]:
    """The operands of a constexpr operation."""
    return {key: each for key, (each, *_) in operation.inputs.items() if isinstance(each, Constant)}


def _read(operation: Operation) -> list[str]:
    """The values that an operation takes, by name."""
    return [each.name for bound in operation.inputs.values() for each in bound if isinstance(each, Reference)]


def _told(binding: Binding, places: Mapping[str, int]) -> Hashable:
    return places[binding.name] if isinstance(binding, Reference) else _digest(binding)


def _digest(constant: Constant) -> Hashable:
    """A constant by its type and its numbers or text."""
    value = constant.value()
    if isinstance(value, np.ndarray):
        data = np.ascontiguousarray(value).tobytes()
        return constant.type, data if len(data) <= 64 else sha256(data).digest()
    return constant.type, repr(value)
