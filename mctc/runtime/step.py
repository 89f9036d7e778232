"""One function of a build with its state: called again and again, under the names of the program."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mctc.driver.target import Load
from mctc.ir.op import Array
from mctc.ir.types import Role
from mctc.runtime.built import Built, BuiltFunction, BuiltPort

if TYPE_CHECKING:
    from mctc.driver.engine import Engine, Executable
    from mctc.streaming.run import Call


class Packages:
    """The artifacts of a build, each opened once. `precision` None is the one that they were built in."""

    def __init__(self, built: Built, precision: str | None = None, load: Load | None = None) -> None:
        self.built, self.precision, self.load = built, precision or built.precision, load
        self._engines: dict[Path, Engine] = {}
        self._tables: dict[str, Mapping[str, Array]] = {}

    def step(self, name: str) -> Step:
        """Function `name` with a state of its own. Raises what opening an artifact raises."""
        function = self.built.function(name)
        if name not in self._tables:
            self._tables[name] = function.tables()
        return Step(function, self.engine(function.package), self._tables[name]).opened()

    def whole(self, name: str) -> Callable[[Mapping[str, Array]], dict[str, Array]]:
        """Function `name` over whole utterances. Raises what opening an artifact raises."""
        function = self.built.whole[name]
        return function.opened(self.engine(function.package))

    def takes_lengths(self, name: str) -> bool:
        """Whether function `name` over whole utterances takes padded batches."""
        function = self.built.whole[name]
        return bool(getattr(self.engine(function.package).function(function.stored_as), "takes_lengths", False))

    def engine(self, artifact: Path) -> Engine:
        if artifact not in self._engines:
            self._engines[artifact] = self.built.target.engine(artifact, self.precision, self.load)
        return self._engines[artifact]


class Step:
    """Calls take and return arrays by their names in the program, in the package's layout.

    tables: rows [ids, width] for inputs that are ids here and rows in the package.
    The function is opened by the first call: who calls only parts of it has no need of the whole.
    """

    def __init__(self, function: BuiltFunction, engine: Engine, tables: Mapping[str, Array] | None = None) -> None:
        self.function, self.engine, self.tables = function, engine, tables or {}

    @cached_property
    def compiled(self) -> Executable:
        """What is called. Raises what opening an artifact's function raises."""
        return self.engine.function(self.function.stored_as)

    def opened(self) -> Step:
        """This step, its function opened now. Raises what that raises."""
        _ = self.compiled
        return self

    def reset(self) -> None:
        """Zero states: the next call is the first of an utterance."""
        for name in ("_state", "_carried"):
            self.__dict__.pop(name, None)

    @cached_property
    def _state(self) -> Any:
        """Made by the first call, not before: caches can be large, and who calls only parts of a function has none."""
        return self.compiled.make_state() if self.function.states and not self.function.state_outputs else None

    @cached_property
    def _carried(self) -> dict[str, Array]:
        """The same of states that are passed in and out, by the names of what takes them."""
        passed = self.function.states if self.function.state_outputs else ()
        return {port.name: np.zeros(port.type.shape, np.float32) for port in passed}

    def start(self, states: Mapping[str, Array]) -> None:
        """The next call finds these states, by their names in the program."""
        for port in self.function.states:
            if self._carried:
                self._carried[port.name] = np.asarray(states[port.spec], np.float32)
            else:
                self._state[port.name] = states[port.spec]

    def states(self) -> dict[str, Array]:
        """What the last call left, by the names in the program."""
        held = self._carried or self._state or {}
        return {port.spec: np.asarray(held[port.name]) for port in self.function.states}

    def saved(self) -> Mapping[str, Any]:
        """All that the next call would find, for `resume`; in any runtime, where `states` names what is in it."""
        return dict(self._carried or self._state or {})

    def resume(self, saved: Mapping[str, Any]) -> None:
        """The next call finds what the last one had left when `saved` was called."""
        if self._carried:
            self._carried = dict(saved)
        for name, array in saved.items() if self._state is not None else ():
            self._state[name] = array

    def continues(self, other: Step) -> None:
        """The next call goes on where the last one of `other` ended: a function with the same states."""
        self._state = other._state
        arrays = {port.spec: other._carried[port.name] for port in other.function.states if other._carried}
        self._carried = {port.name: arrays[port.spec] for port in self.function.states if arrays}

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        function = self.function
        given = {port.name: self.given(port, inputs[port.spec]) for port in function.inputs}
        results = self.compiled(self._carried | given, self._state)
        for state, update in zip(function.states, function.state_outputs):
            self._carried[state.name] = results[update.name]
        return {port.spec: results[port.name] for port in function.outputs}

    def given(self, port: BuiltPort, array: Array) -> Array:
        """What the artifact takes for what the program takes: rows of a table for ids."""
        table = self.tables.get(port.spec)
        if table is None:
            return array
        from mctc.ir.ops.linear import looked_up

        return looked_up(table, array, port.type.roles.index(Role.CHANNEL))


def stepping(step: Step) -> Call:
    """A step, which carries its state itself, as a call of a stream."""
    return lambda _, inputs, __: (step(inputs), {})


class _Reader(Step):
    """A step as one of several readers calls it: whoever is the first in a call makes it, for all of them."""

    def __init__(self, step: Step) -> None:
        self.step, self.function = step, step.function
        self.others: Sequence[_Reader] = ()
        self.made: deque[dict[str, Array]] = deque()

    def reset(self) -> None:
        self.made.clear()
        self.step.reset()

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        if self.made:
            return self.made.popleft()
        results = self.step(inputs)
        for other in self.others:
            other.made.append(results)
        return results


def shared(step: Step, count: int) -> list[Step]:
    """A step for each of so many readers that make the same calls."""
    readers = [_Reader(step) for _ in range(count)]
    for reader in readers:
        reader.others = [other for other in readers if other is not reader]
    return [*readers]
