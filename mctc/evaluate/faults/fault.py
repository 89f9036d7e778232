"""What a fault model is: which operations of a function a runtime gets wrong, and what it gives in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from mctc.evaluate.coreml.precision import Array
from mctc.package.model import Constant, Function, Operation, Reference
from mctc.package.types import TensorType
from mctc.records import dataclass

Arguments = Mapping[str, Any]
"""Operands of an operation by name, constant ones included."""
Wrong = Callable[[Callable[[], Any], Arguments], Any]
"""Given what computes the right result and the operands, the wrong result."""


@dataclass(frozen=True)
class View:
    """A function, with what makes and takes its values looked up."""

    function: Function

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """All of them, those in blocks included."""
        return tuple(self.function.walk())

    @cached_property
    def makers(self) -> Mapping[str, Operation]:
        return {item.name: operation for operation in self.operations for item in operation.outputs}

    @cached_property
    def users(self) -> Mapping[str, list[Operation]]:
        found: dict[str, list[Operation]] = {}
        for operation in self.operations:
            for name in dict.fromkeys(each.name for each in references(operation)):
                found.setdefault(name, []).append(operation)
        return found

    @cached_property
    def _fixed(self) -> frozenset[str]:
        fixed: set[str] = set()
        for operation in self.operations:
            taken = [each.name for each in references(operation)]
            if operation.type == "const" or (taken and fixed.issuperset(taken) and not operation.blocks):
                fixed.update(item.name for item in operation.outputs)
        return frozenset(fixed)

    def of_type(self, *types: str) -> Iterator[Operation]:
        return (operation for operation in self.operations if operation.type in types)

    def at_run_time(self, operation: Operation, operand: str) -> bool:
        """Whether an operand is only known when the program runs."""
        bound = operation.inputs.get(operand, ())
        return any(isinstance(each, Reference) and each.name not in self._fixed for each in bound)

    def maker(self, operation: Operation, operand: str) -> Operation | None:
        """What makes an operand's one value."""
        bound = operation.inputs.get(operand, ())
        return self.makers.get(bound[0].name) if bound and isinstance(bound[0], Reference) else None

    def value(self, operation: Operation, operand: str) -> Any:
        """The value of a constant operand; None for any other."""
        bound = operation.inputs.get(operand, ())
        if not bound:
            return None
        if isinstance(bound[0], Constant):
            return bound[0].value()
        maker = self.makers.get(bound[0].name)
        return maker.attributes["val"].value() if maker is not None and maker.type == "const" else None

    def type_of(self, operation: Operation, operand: str) -> TensorType | None:
        """The tensor type of an operand's one value."""
        bound = operation.inputs.get(operand, ())
        if not bound:
            return None
        if isinstance(bound[0], Constant):
            found = bound[0].type
        else:
            inputs = {item.name: item.type for item in self.function.inputs}
            maker = self.makers.get(bound[0].name)
            made = {} if maker is None else {item.name: item.type for item in maker.outputs}
            found = {**inputs, **made}.get(bound[0].name)  # type: ignore[assignment]
        return found if isinstance(found, TensorType) else None


@dataclass(frozen=True)
class Sites:
    """Where a fault acts in a function, by index of the operation: results that it changes, and writes of states that
    it loses."""

    wrong: Mapping[int, Wrong]
    lost: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self.wrong) + len(self.lost)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A known miscompile.

    name: in an arithmetic, `fp16+NAME`. summary: what comes out, one line. where: the unit that does it. systems: on
    which it was seen. source: who says so. rule: of `mctc lint`, that finds the pattern. known: whether the wrong
    values are those that were published; else they stand in for values that nobody has told.
    """

    name: str
    summary: str
    where: str
    systems: str
    source: str
    sites: Callable[[View], Sites]
    rule: str | None = None
    known: bool = True


def references(operation: Operation) -> Iterator[Reference]:
    for bound in operation.inputs.values():
        yield from (each for each in bound if isinstance(each, Reference))


def is_half(type_: TensorType | None) -> bool:
    return type_ is not None and type_.dtype == "fp16"


def as_floats(value: Any) -> Array:
    import numpy as np

    return np.asarray(value, np.float32)
