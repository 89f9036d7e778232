"""What goes wrong while a Core ML program is prepared or run."""

from __future__ import annotations

from mctc.diagnostics.errors import MctcError


class EvaluationError(MctcError):
    """A program or its inputs can't be evaluated; the message names the function and the operation."""


class UnsupportedOp(EvaluationError):  # noqa: N818
    """The program uses an op that the evaluator doesn't have."""


class TypeMismatch(EvaluationError):  # noqa: N818
    """A value isn't of the type that the program declares for it."""
