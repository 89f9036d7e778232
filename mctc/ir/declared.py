"""The ops that there are: the built-in ones, and those that plugins declare."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from mctc.ir.op import DECLARED, Op


@cache
def registry() -> Mapping[str, type[Op]]:
    """All declared ops by name."""
    import mctc.ir.ops  # noqa: F401  declares the built-in ops

    return DECLARED
