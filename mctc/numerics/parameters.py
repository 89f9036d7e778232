"""Values of parameters for an evaluation that asks for them in every call."""

from __future__ import annotations

from functools import cache

import numpy as np

from mctc.evaluate.reference import ParameterValue
from mctc.ir.program import Program

KEPT = 16_000_000  # parameters up to which their values are held in float64: 128 MB


def is_small(program: Program) -> bool:
    """Whether the values of a program's parameters are few enough to be held."""
    return sum(type_.size for type_, _ in program.sources.values()) <= KEPT


def kept(program: Program, value: ParameterValue) -> ParameterValue:
    """The values of a small model, each computed once; those of a large one are computed when they are asked for."""
    return cache(lambda name: np.asarray(value(name), np.float64)) if is_small(program) else value
