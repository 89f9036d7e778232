"""A function of a build or of a package that is called from Python: arrays by name in and out, its state kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from mctc.diagnostics.errors import MctcError
from mctc.diagnostics.near import did_you_mean, listing
from mctc.driver.engine import Executable
from mctc.ir.op import Array
from mctc.ir.types import DType
from mctc.runtime.built import BuiltPort
from mctc.runtime.fed import refuse_fed, refuse_outside
from mctc.runtime.step import Step
from mctc.streaming.context import VALID

NUMPY: Mapping[DType, Any] = {DType.F32: np.float32, DType.BOOL: np.bool_}


class InputError(MctcError):
    """An input of a function that is missing, unknown or of another shape; names it."""


class Stateful(Protocol):
    """What a function calls: it carries the state from call to call."""

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]: ...

    def reset(self) -> None: ...

    def states(self) -> dict[str, Array]: ...


class Function:
    """Calls carry the state on; `reset` makes the next call the first of an utterance again.

    shapes: of the inputs, by their names in the spec; of a package alone those that its file tells, by its own names.
    """

    def __init__(self, name: str, calls: Stateful, shapes: Mapping[str, tuple[int, ...]], check: Check) -> None:
        self.name, self.shapes = name, shapes
        self._calls, self._check = calls, check

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs."""
        return tuple(self.shapes)

    def __call__(self, inputs: Mapping[str, ArrayLike] | None = None, /, **named: ArrayLike) -> dict[str, Array]:
        """The outputs of the next call, by name. Inputs go by name, or in one mapping where a name is no word.

        Raises InputError for inputs that do not fit, FedError for an entry that the spec rules out, and what the
        runtime raises.
        """
        given = {**(inputs or {}), **named}
        if unknown := next((name for name in given if name not in self.shapes), None):
            hint = did_you_mean(unknown, self.shapes) or f"there are {listing(self.shapes)}"
            raise InputError(f"function '{self.name}' has no input `{unknown}`", hint=hint)
        return self._calls(self._check({name: _array(name, each) for name, each in given.items()}))

    def reset(self) -> None:
        """Zero states."""
        self._calls.reset()

    def states(self) -> dict[str, Array]:
        """What the last call left, by name."""
        return self._calls.states()

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name}: {list(shape)}" for name, shape in self.shapes.items())
        return f"<function {self.name}({shapes})>"


def _array(name: str, given: ArrayLike) -> Array:
    """An input as an array. Raises InputError for lists of several lengths."""
    try:
        return np.asarray(given)
    except ValueError as error:
        raise InputError(f"input {name} is no array: {error}", hint="rows of one length, all numbers") from error


class Check(Protocol):
    """Makes of arrays by name what a call takes, or raises MctcError."""

    def __call__(self, given: Mapping[str, Array]) -> dict[str, Array]: ...


def of_build(step: Step) -> Function:
    """A function of a build, under the names of its spec."""
    ports = {port.spec: port for port in step.function.inputs}

    def check(given: Mapping[str, Array]) -> dict[str, Array]:
        if missing := [name for name in ports if name not in given and name != VALID]:
            raise InputError(f"function '{step.function.name}' takes {listing(missing)} too")
        every = {VALID: np.ones(ports[VALID].type.shape, np.float32)} if VALID in ports else {}
        return {name: _fitted(ports[name], array) for name, array in {**every, **given}.items()}

    return Function(step.function.name, step, {name: port.shape for name, port in ports.items()}, check)


def of_artifact(artifact: Path, executable: Executable) -> Function:
    """A function of a package, or of another artifact, under its own names."""

    def check(given: Mapping[str, Array]) -> dict[str, Array]:
        refuse_fed(artifact, executable.name, given)
        return dict(given)

    shapes = {each.name: _told(each) for each in executable.inputs}
    return Function(executable.name, _Executed(executable), shapes, check)


class _Executed:
    """An executable with its state."""

    def __init__(self, executable: Executable) -> None:
        self.executable = executable
        self.reset()

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return self.executable(inputs, self._state)

    def reset(self) -> None:
        self._state = self.executable.make_state() if self.executable.states else None

    def states(self) -> dict[str, Array]:
        return {name: np.asarray(array) for name, array in (self._state or {}).items()}


def _fitted(port: BuiltPort, array: Array) -> Array:
    """An array in the type of a port; ids may come as a plain list. Raises InputError, and FedError."""
    ids = port.takes_ids or (port.domain is not None and port.domain.whole)
    if ids and array.ndim <= 1 and array.size == prod(port.shape):
        array = array.reshape(port.shape)
    if array.shape != port.shape:
        raise InputError(f"input {port.spec} is {list(array.shape)}, and the function takes {list(port.shape)}")
    if array.dtype.kind not in "fiub":
        raise InputError(f"input {port.spec} takes real numbers, not {array.dtype}")
    refuse_outside(port.spec, array, port.domain)
    return array.astype(np.int32 if port.takes_ids else NUMPY[port.type.dtype], copy=False)


def _told(named: Any) -> tuple[int, ...]:
    """The shape of an input as far as its artifact tells it."""
    shape: Sequence[int] = getattr(getattr(named, "type", named), "shape", ())
    return tuple(shape)
