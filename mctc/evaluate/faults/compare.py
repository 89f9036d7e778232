"""What faults change of a program's results: every call is made a second time with each fault, on the same inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field
from typing import TYPE_CHECKING

import numpy as np

from mctc.evaluate.coreml.comparing import COMPARING
from mctc.evaluate.coreml.precision import Array
from mctc.evaluate.coreml.state import State
from mctc.evaluate.faults.fault import Fault
from mctc.evaluate.faults.table import touches
from mctc.records import dataclass

if TYPE_CHECKING:
    from mctc.evaluate.coreml.evaluator import CompiledFunction, Evaluator
    from mctc.package.model import Function


@dataclass
class Effect:
    """What one fault does to one function. operations: those that it acts on, by name. calls, changed: how many were
    made, and how many came out otherwise. largest: the largest difference of an output or state, of its largest
    magnitude; infinite where one is not finite and the other is. at: which output or state that was."""

    fault: Fault
    function: str
    operations: tuple[str, ...]
    calls: int = 0
    changed: int = 0
    largest: float = 0.0
    at: str | None = None

    def count(self, right: Mapping[str, Array], wrong: Mapping[str, Array]) -> None:
        """Takes the results of one call."""
        self.calls += 1
        differences = {name: difference(array, wrong[name]) for name, array in right.items()}
        name = max(differences, key=lambda each: differences[each], default=None)
        if name is None or not differences[name]:
            return
        self.changed += 1
        if differences[name] > self.largest:
            self.largest, self.at = differences[name], name


@dataclass
class Comparison:
    """The faults that are compared, and what they did so far."""

    faults: Sequence[Fault]
    effects: list[Effect] = field(default_factory=list)

    def twins(self, evaluator: Evaluator, function: Function) -> list[Twin]:
        """One for every fault that acts on a function."""
        found = []
        for fault in self.faults:
            operations = tuple(operation.name for operation in touches(fault, function))
            if operations:
                self.effects.append(Effect(fault, function.name, operations))
                found.append(Twin(evaluator.with_faults([fault]).function(function.name), self.effects[-1]))
        return found

    def absent(self) -> list[Fault]:
        """Faults that act on none of the functions that were run."""
        present = {effect.fault.name for effect in self.effects}
        return [fault for fault in self.faults if fault.name not in present]


@contextmanager
def comparing(faults: Sequence[Fault]) -> Iterator[Comparison]:
    """Evaluators that compile functions inside compare their calls."""
    comparison = Comparison(faults)
    token = COMPARING.set(comparison)
    try:
        yield comparison
    finally:
        COMPARING.reset(token)


@dataclass
class Twin:
    """The same function with a fault. Its state goes its own way, until the right one is set from outside."""

    faulty: CompiledFunction
    effect: Effect
    states: dict[int, tuple[State, State, dict[str, Array]]] = field(default_factory=dict)

    def begin(self, state: State | None) -> State | None:
        """The state that the faulty call starts with. To be asked for before the right call."""
        if state is None:
            return None
        known = self.states.get(id(state))
        if known is None or any(known[2][name] is not array for name, array in state.items()):
            return state.copy()
        return known[1]

    def compare(
        self, inputs: Mapping[str, Array], begun: State | None, state: State | None, right: Mapping[str, Array]
    ) -> None:
        """Makes the faulty call, and counts what differs."""
        wrong = self.faulty(inputs, begun)
        if state is not None and begun is not None:
            self.states[id(state)] = state, begun, dict(state)
            right, wrong = {**right, **state}, {**wrong, **begun}
        self.effect.count(right, wrong)


def difference(right: Array, wrong: Array) -> float:
    """The largest difference, of the right array's largest magnitude."""
    right, wrong = np.asarray(right), np.asarray(wrong)
    if right.dtype.kind not in "fiub" or right.shape != wrong.shape:
        return 0.0 if np.array_equal(right, wrong) else float("inf")
    a, b = right.astype(np.float64), wrong.astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if same.all():
        return 0.0
    if not np.isfinite(a[~same]).all() or not np.isfinite(b[~same]).all():
        return float("inf")
    scale = np.abs(a[np.isfinite(a)]).max(initial=0.0)
    return float(np.abs(a - b)[~same].max() / (scale or 1.0))
