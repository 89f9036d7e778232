"""What can go wrong while a package is written."""

from __future__ import annotations

from mctc.diagnostics.errors import MctcError


class EmitError(MctcError):
    """A program that has no Core ML form; names the op and its place."""
