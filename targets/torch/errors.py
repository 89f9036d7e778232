"""What can go wrong while a module is written."""

from __future__ import annotations

from mctc.diagnostics.errors import MctcError


class EmitError(MctcError):
    """A program that has no torch form; says what to write instead."""
