"""What can go wrong while a package is written."""

from __future__ import annotations

from mctc.diagnostics.errors import MctcError
from mctc.ir.program import Op


class EmitError(MctcError):
    """A program that has no Core ML form; names the op and its place."""


def place(op: Op) -> str:
    """'layer_norm of encoder.norm (model.mct:12:9)'."""
    where = f" of {op.origin.path}" if op.origin.path else ""
    return f"{op.name}{where}{f' ({op.origin.location})' if op.origin.location else ''}"
