"""What can go wrong while an MLX package is written, read or executed."""

from __future__ import annotations

from mctc.diagnostics.errors import MctcError


class MlxError(MctcError):
    """A program without an MLX form, a package that can't be imported, arrays that don't fit it; names the place."""
