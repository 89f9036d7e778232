"""Values of parameters for an evaluation that asks for them in every call."""

from __future__ import annotations

from functools import cache

import numpy as np

from mctc.evaluate.reference import ParameterValue, tables
from mctc.ir.op import Array
from mctc.ir.program import Function, Program
from mctc.weights import Weights

KEPT = 16_000_000  # parameters up to which their values are held in float64: 128 MB
LAST = 1 << 25
"""Numbers of a large model that are held in float32: 128 MB, a layer and two parts of a table of words. To make more of
them again costs what fresh memory for them does."""


def is_small(program: Program) -> bool:
    """Whether the values of a program's parameters are few enough to be held."""
    return sum(type_.size for type_, _ in program.sources.values()) <= KEPT


def kept(program: Program, value: ParameterValue) -> ParameterValue:
    """The values of a small model, each computed once; those of a large one are computed when they are asked for."""
    return cache(lambda name: np.asarray(value(name), np.float64)) if is_small(program) else value


class Deployed:
    """Values in float32 as a package stores them; each is computed once, or of a large model held as long as the values
    that were asked for since are, with a function's states, no more than `LAST` numbers."""

    def __init__(self, program: Program, weights: Weights) -> None:
        self.program, self.weights = program, weights
        states = [sum(state.value.type.size for state in each.states) for each in program.functions.values()]
        self._most = KEPT if is_small(program) else LAST - max(states, default=0)
        self._held: dict[str, Array] = {}  # the one that was asked for last at the end
        self._numbers = 0

    def __call__(self, name: str) -> Array:
        """A parameter's value, which must not be changed."""
        found = self._held.pop(name, None)
        if found is None:
            found = self.weights.deployed(self.program.parameters[name])
            if found.size > self._most:
                return found
            self._numbers += found.size
            while self._numbers > self._most:
                self._numbers -= self._held.pop(next(iter(self._held))).size
        self._held[name] = found
        return found

    def within(self, function: Function) -> ParameterValue:
        """The same for an evaluation of a function: tables of which it picks rows are as they are stored."""
        picked = {getattr(value.owner, "parameter", "") for value in tables(function)}
        return lambda name: self.weights.held(self.program.parameters[name]) if name in picked else self(name)
