"""What can go wrong while a Core AI asset is written, read or run."""

from __future__ import annotations

from mctc.diagnostics.errors import MctcError
from mctc.ir.program import Op


class CoreAiError(MctcError):
    """A program that has no Core AI form, an asset that can't be run, or inputs that don't fit it."""


def place(op: Op) -> str:
    """'softmax of encoder.attention (model.mct:12:9)'."""
    where = f" of {op.origin.path}" if op.origin.path else ""
    return f"{op.name}{where}{f' ({op.origin.location})' if op.origin.location else ''}"
