"""Executes Core ML programs in numpy, off a Mac: the evaluator of packages read from disk.

evaluator (Evaluator, CompiledFunction) · state · plan, structural, steps, control (a function compiled into steps) ·
declaration and ops/ (one declaration per op) · precision (how floats are held and rounded) · table (the op table).
"""

from __future__ import annotations

import mctc.evaluate.coreml.ops  # noqa: F401  (declares the ops)
from mctc.evaluate.coreml.errors import EvaluationError, TypeMismatch, UnsupportedOp
from mctc.evaluate.coreml.evaluator import CompiledFunction, Evaluator
from mctc.evaluate.coreml.precision import Precision
from mctc.evaluate.coreml.state import State
from mctc.evaluate.coreml.steps import Observer

__all__ = [
    "CompiledFunction",
    "EvaluationError",
    "Evaluator",
    "Observer",
    "Precision",
    "State",
    "TypeMismatch",
    "UnsupportedOp",
]
