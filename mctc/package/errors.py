"""What goes wrong while a Core ML package is read."""

from __future__ import annotations

from mctc.diagnostics.errors import MctcError


class PackageError(MctcError):
    """A Core ML package is missing, damaged or of a kind that is not read; the message names the place."""
