"""One function of a build with its state: called again and again, under the names of the program."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mctc.build.engine import Engine
from mctc.build.target import Load
from mctc.ir.op import Array
from mctc.ir.ops.linear import looked_up
from mctc.ir.types import Role
from mctc.runtime.arrays import read_npy
from mctc.runtime.built import Built, BuiltFunction, BuiltPort


class Packages:
    """The artifacts of a build, each opened once. `precision` None is the one that they were built in."""

    def __init__(self, built: Built, precision: str | None = None, load: Load | None = None) -> None:
        self.built, self.precision, self.load = built, precision or built.precision, load
        self._engines: dict[Path, Engine] = {}
        self._tables: dict[Path, Array] = {}

    def step(self, name: str) -> Step:
        """Function `name` with a state of its own. Raises what opening an artifact raises."""
        function = self.built.functions[name]
        tables = {port.spec: self._table(port.table) for port in function.inputs if port.table is not None}
        return Step(function, self.engine(function.package), tables)

    def engine(self, artifact: Path) -> Engine:
        if artifact not in self._engines:
            self._engines[artifact] = self.built.target.engine(artifact, self.precision, self.load)
        return self._engines[artifact]

    def _table(self, file: Path) -> Array:
        if file not in self._tables:
            self._tables[file] = read_npy(file)
        return self._tables[file]


class Step:
    """Calls take and return arrays by their names in the program, in the package's layout.

    tables: rows [ids, width] for inputs that are ids here and rows in the package.
    """

    def __init__(self, function: BuiltFunction, engine: Engine, tables: Mapping[str, Array] | None = None) -> None:
        self.function, self.tables = function, tables or {}
        self.compiled = engine.function(function.stored_as)
        self.reset()

    def reset(self) -> None:
        """Zero states: the next call is the first of an utterance."""
        function, passed = self.function, bool(self.function.state_outputs)
        self._state = self.compiled.make_state() if function.states and not passed else None
        zeros = {port.name: np.zeros(port.type.shape, np.float32) for port in function.states if passed}
        self._carried: dict[str, Array] = zeros

    def continues(self, other: Step) -> None:
        """The next call goes on where the last one of `other` ended: a function with the same states."""
        self._state = other._state
        arrays = {port.spec: other._carried[port.name] for port in other.function.states if other._carried}
        self._carried = {port.name: arrays[port.spec] for port in self.function.states if arrays}

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        function = self.function
        given = {port.name: self._given(port, inputs[port.spec]) for port in function.inputs}
        results = self.compiled(self._carried | given, self._state)
        for state, update in zip(function.states, function.state_outputs):
            self._carried[state.name] = results[update.name]
        return {port.spec: results[port.name] for port in function.outputs}

    def _given(self, port: BuiltPort, array: Array) -> Array:
        table = self.tables.get(port.spec)
        return array if table is None else looked_up(table, array, port.type.roles.index(Role.CHANNEL))
