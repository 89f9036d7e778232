"""What a compiled function consists of: steps over numbered values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from sys import getrefcount
from typing import Any, Protocol

import numpy as np

from mctc.evaluate.coreml.errors import EvaluationError, TypeMismatch
from mctc.evaluate.coreml.precision import Array
from mctc.evaluate.coreml.state import State
from mctc.half import round_to_half
from mctc.package.model import Operation
from mctc.package.types import NamedType, TensorType
from mctc.records import dataclass

Observer = Callable[[Operation, list[Array]], None]
OP_ERRORS = (ValueError, IndexError, TypeError, KeyError, ArithmeticError, AttributeError, MemoryError)
"""What numpy and the op functions raise over operands that don't fit."""
KINDS = {"f": "f", "i": "iu", "u": "iu", "b": "b"}
"""Integers of any width count as integers: which width is settled by the declared operand types."""
Slots = list[Any] | dict[int, Any]


class Frame:
    """The values of one call: `values[slot]`, the state, and who watches."""

    __slots__ = ("observe", "state", "values")

    def __init__(self, values: Slots, state: State | None, observe: Observer | None) -> None:
        self.values = values
        self.state = state
        self.observe = observe


class Step(Protocol):
    """One thing to do."""

    frees: Sequence[int]
    """Slots that nothing reads after this step."""

    def run(self, frame: Frame) -> None:
        """Reads and writes `frame.values`."""

    def reads(self) -> Sequence[int]:
        """Slots that `run` reads."""

    def writes(self) -> Sequence[int]:
        """Slots that `run` fills."""


def run_steps(steps: Sequence[Step], frame: Frame) -> None:
    """Runs steps in order and drops values after their last use."""
    values = frame.values
    for step in steps:
        step.run(frame)
        for slot in step.frees:
            values[slot] = None


@dataclass(frozen=True)
class Output:
    """How one output of an op is finished: rounded, checked and put in its slot."""

    slot: int
    declared: NamedType
    holder: np.dtype[Any] | None
    rounds: bool
    checks: bool

    @cached_property
    def shape(self) -> tuple[int | None, ...] | None:
        """The declared shape; None where it isn't known, or for what is no tensor."""
        return self.declared.type.shape if isinstance(self.declared.type, TensorType) else None

    def finish(self, value: Any, where: str, *, fresh: bool = False) -> Any:
        """The value as it is held. Raises TypeMismatch when it isn't what the program declares.

        fresh: whether nobody else has the array, so that it may be rounded where it is.
        """
        if self.holder is None:
            return value
        if type(value) is not np.ndarray or value.dtype != self.holder or value.shape != self.shape:
            value = self._held(np.asarray(value), where)
        return round_to_half(value, in_place=fresh) if self.rounds else value

    def _held(self, array: Array, where: str) -> Array:
        if self.checks:
            self._check(array, where)
        return array if array.dtype == self.holder else array.astype(self.holder)

    def _check(self, array: Array, where: str) -> None:
        declared = self.declared.type
        assert isinstance(declared, TensorType)
        assert self.holder is not None
        fits = declared.shape in (None, array.shape) or (
            len(declared.shape) == array.ndim
            and all(want is None or want == have for want, have in zip(declared.shape, array.shape, strict=True))
        )
        if not fits or array.dtype.kind not in KINDS.get(self.holder.kind, self.holder.kind):
            found = f"{array.dtype.name}{list(array.shape)}"
            raise TypeMismatch(f"{where}: '{self.declared.name}' is declared {declared}, computed {found}")


@dataclass
class ComputeStep:
    """Calls the function of an op."""

    operation: Operation
    where: str
    call: Callable[..., Any]
    singles: tuple[tuple[str, int], ...]
    lists: tuple[tuple[str, tuple[int, ...]], ...]
    outputs: tuple[Output, ...]
    frees: Sequence[int] = ()
    over: tuple[tuple[str, int], ...] = ()
    """Operands whose arrays may take the result once nothing else reads them: an op that works element by element."""

    def run(self, frame: Frame) -> None:
        values = frame.values
        arguments: dict[str, Any] = {key: values[slot] for key, slot in self.singles}
        for key, slots in self.lists:
            arguments[key] = [values[slot] for slot in slots]
        for key, slot in self.over:
            if _references(values, slot) == ALONE and self._takes_result(arguments[key]):
                arguments["out"] = arguments[key]
                break
        try:
            result = self.call(**arguments)
        except OP_ERRORS as error:
            raise EvaluationError(f"{self.where}: {_reason(error, arguments)}") from error
        results = result if isinstance(result, tuple) else (result,)
        if len(results) < len(self.outputs):
            raise TypeMismatch(f"{self.where}: {len(self.outputs)} outputs are declared, the op has {len(results)}")
        for output, value in zip(self.outputs, results):
            fresh = output.rounds and self._is_fresh(value, arguments)
            values[output.slot] = output.finish(value, self.where, fresh=fresh)
        if frame.observe is not None:
            frame.observe(self.operation, [values[output.slot] for output in self.outputs])

    def _is_fresh(self, value: Any, arguments: dict[str, Any]) -> bool:
        """Whether an op made the array for this result: not a view, not one of its operands."""
        if value is arguments.get("out"):
            return value is not None
        if type(value) is not np.ndarray or not value.flags.owndata or not value.flags.writeable:
            return False
        bound = getattr(self.call, "keywords", None)  # constant operands
        return not _among(value, arguments) and not (bound and _among(value, bound))

    def _takes_result(self, array: Any) -> bool:
        """Whether an operand's array has the shape and the element type of the result, and nobody else's memory."""
        (output,) = self.outputs
        return (
            type(array) is np.ndarray
            and array.dtype == output.holder
            and array.shape == output.shape
            and array.flags.owndata
            and array.flags.writeable
        )

    def reads(self) -> Sequence[int]:
        return [slot for _, slot in self.singles] + [slot for _, slots in self.lists for slot in slots]

    def writes(self) -> Sequence[int]:
        return [output.slot for output in self.outputs]


def _references(values: Slots, slot: int) -> int:
    return getrefcount(values[slot])


def _alone() -> int:
    """What `_references` counts where a step's values and its arguments are all that hold an array."""
    values: dict[int, Any] = {0: np.empty(0)}
    arguments = {"x": values[0]}
    return _references(values, 0) if arguments else 0


ALONE = _alone()


def _among(value: Any, operands: Mapping[str, Any]) -> bool:
    for operand in operands.values():
        if operand is value or (isinstance(operand, list) and any(each is value for each in operand)):
            return True
    return False


@dataclass
class LoadStep:
    """Reads a constant that isn't kept in memory."""

    load: Callable[[], Any]
    slot: int
    frees: Sequence[int] = ()

    def run(self, frame: Frame) -> None:
        frame.values[self.slot] = self.load()

    def reads(self) -> Sequence[int]:
        return ()

    def writes(self) -> Sequence[int]:
        return (self.slot,)


@dataclass
class ReadState:
    """read_state."""

    operation: Operation
    where: str
    state: str
    slot: int
    frees: Sequence[int] = ()

    def run(self, frame: Frame) -> None:
        assert frame.state is not None
        frame.values[self.slot] = frame.state[self.state]
        if frame.observe is not None:
            frame.observe(self.operation, [frame.values[self.slot]])

    def reads(self) -> Sequence[int]:
        return ()

    def writes(self) -> Sequence[int]:
        return (self.slot,)


@dataclass
class WriteState:
    """write_state, and coreml_update_state, which also returns what it wrote. lost: the state stays as it was."""

    operation: Operation
    where: str
    state: str
    data: int
    slot: int | None
    lost: bool = False
    frees: Sequence[int] = ()

    def run(self, frame: Frame) -> None:
        assert frame.state is not None
        value = frame.values[self.data]
        want = frame.state[self.state].shape
        if np.shape(value) != want:
            raise TypeMismatch(f"{self.where}: state '{self.state}' has shape {want}, the value {np.shape(value)}")
        if not self.lost:
            frame.state.replace(self.state, value)
        if self.slot is not None:
            frame.values[self.slot] = value
        if frame.observe is not None:
            frame.observe(self.operation, [value])

    def reads(self) -> Sequence[int]:
        return (self.data,)

    def writes(self) -> Sequence[int]:
        return () if self.slot is None else (self.slot,)


def _reason(error: Exception, arguments: dict[str, Any]) -> str:
    shapes = ", ".join(
        f"{key} {list(value.shape)}" for key, value in arguments.items() if isinstance(value, np.ndarray)
    )
    kind = "out of memory" if isinstance(error, MemoryError) else str(error)
    return f"{kind} (operands: {shapes})" if shapes else kind
