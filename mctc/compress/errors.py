"""The errors that compression can end in."""

from __future__ import annotations

from mctc.diagnostics.errors import MctcError


class CompressError(MctcError):
    """Statistics that don't fit, a budget that can't be met, or a spec that can't be rewritten."""
