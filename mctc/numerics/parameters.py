"""Values of parameters for an evaluation that asks for them in every call."""

from __future__ import annotations

from functools import cache

import numpy as np

from mctc.evaluate.reference import ParameterValue
from mctc.ir.program import Program

KEPT = 16_000_000  # parameters up to which their values are held in float64: 128 MB


def kept(program: Program, value: ParameterValue) -> ParameterValue:
    """The values of a small model, each computed once; those of a large one are computed when they are asked for."""
    small = sum(type_.size for type_, _ in program.sources.values()) <= KEPT
    return cache(lambda name: np.asarray(value(name), np.float64)) if small else value
