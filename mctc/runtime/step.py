"""One function of a build with its state: called again and again, under the names of the program."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mctc.evaluate.coreml import Evaluator, Precision
from mctc.ir.op import Array
from mctc.runtime.built import Built, BuiltFunction


class Packages:
    """The packages of a build, each read from disk once."""

    def __init__(self, built: Built, precision: Precision) -> None:
        self.built, self.precision = built, precision
        self._evaluators: dict[Path, Evaluator] = {}

    def step(self, name: str) -> Step:
        """Function `name` with a state of its own. Raises what reading and compiling a package raise."""
        function = self.built.functions[name]
        if function.package not in self._evaluators:
            self._evaluators[function.package] = Evaluator(function.package, self.precision)
        return Step(function, self._evaluators[function.package])


class Step:
    """Calls take and return arrays by their names in the program, in the package's layout."""

    def __init__(self, function: BuiltFunction, evaluator: Evaluator) -> None:
        self.function = function
        self.compiled = evaluator.function(function.stored_as)
        self.reset()

    def reset(self) -> None:
        """Zero states: the next call is the first of an utterance."""
        function, passed = self.function, bool(self.function.state_outputs)
        self._state = self.compiled.make_state() if function.states and not passed else None
        zeros = {port.name: np.zeros(port.type.shape, np.float32) for port in function.states if passed}
        self._carried: dict[str, Array] = zeros

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        function = self.function
        given = {port.name: inputs[port.spec] for port in function.inputs}
        results = self.compiled(self._carried | given, self._state)
        for state, update in zip(function.states, function.state_outputs):
            self._carried[state.name] = results[update.name]
        return {port.spec: results[port.name] for port in function.outputs}
