"""Control flow: branches and loops over blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mctc.evaluate.coreml.errors import EvaluationError
from mctc.evaluate.coreml.steps import Frame, Output, Step, run_steps
from mctc.package.model import Operation
from mctc.records import dataclass

CompiledBlock = tuple[Sequence[Step], Sequence[int]]

LOOP_LIMIT = 1_000_000
"""Iterations after which a while_loop is given up as endless."""


@dataclass
class CondStep:
    """Runs the first block when the predicate is true, else the second."""

    operation: Operation
    where: str
    predicate: int
    bodies: tuple[CompiledBlock, ...]
    outputs: tuple[Output, ...]
    frees: Sequence[int] = ()

    def run(self, frame: Frame) -> None:
        steps, results = self.bodies[0 if _truth(frame.values[self.predicate], self.where) else 1]
        run_steps(steps, frame)
        _finish(self.operation, self.where, self.outputs, [frame.values[slot] for slot in results], frame)

    def writes(self) -> Sequence[int]:
        return [output.slot for output in self.outputs]

    def reads(self) -> Sequence[int]:
        """Slots used here and inside."""
        return [self.predicate, *_inner_slots(self.bodies)]


@dataclass
class LoopStep:
    """Runs the second block while the first returns true; both take the loop variables."""

    operation: Operation
    where: str
    initial: tuple[int, ...]
    variables: Sequence[Sequence[int]]
    bodies: tuple[CompiledBlock, ...]
    outputs: tuple[Output, ...]
    frees: Sequence[int] = ()

    def run(self, frame: Frame) -> None:
        values = frame.values
        current: list[Any] = [values[slot] for slot in self.initial]
        for _ in range(LOOP_LIMIT):
            (go_on,) = self._run_block(0, current, frame)
            if not _truth(go_on, self.where):
                _finish(self.operation, self.where, self.outputs, current, frame)
                return
            current = self._run_block(1, current, frame)
        raise EvaluationError(f"{self.where}: still running after {LOOP_LIMIT} iterations")

    def _run_block(self, which: int, current: Sequence[Any], frame: Frame) -> list[Any]:
        for slot, value in zip(self.variables[which], current, strict=True):
            frame.values[slot] = value
        steps, results = self.bodies[which]
        run_steps(steps, frame)
        return [frame.values[slot] for slot in results]

    def writes(self) -> Sequence[int]:
        return [output.slot for output in self.outputs]

    def reads(self) -> Sequence[int]:
        """Slots used here and inside."""
        return [*self.initial, *(slot for slots in self.variables for slot in slots), *_inner_slots(self.bodies)]


def _truth(value: Any, where: str) -> bool:
    if np.size(value) != 1:
        raise EvaluationError(f"{where}: the condition has {np.size(value)} elements, not one")
    return bool(np.reshape(value, ())[()])


def _inner_slots(bodies: Sequence[CompiledBlock]) -> list[int]:
    return [
        slot for steps, results in bodies for slot in (*results, *(slot for step in steps for slot in step.reads()))
    ]


def _finish(operation: Operation, where: str, outputs: Sequence[Output], results: Sequence[Any], frame: Frame) -> None:
    for output, value in zip(outputs, results, strict=True):
        frame.values[output.slot] = output.finish(value, where)
    if frame.observe is not None:
        frame.observe(operation, [frame.values[output.slot] for output in outputs])
