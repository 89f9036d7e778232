"""What can go wrong while a Core AI asset is written, read or run."""

from __future__ import annotations

from mctc.diagnostics.errors import MctcError


class CoreAiError(MctcError):
    """A program that has no Core AI form, an asset that can't be run, or inputs that don't fit it."""
