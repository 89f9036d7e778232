"""Memory that lies free between arrays, given back to the system."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache

LARGE = 3 << 25
"""Numbers of an array before whose like memory is given back: 384 MB in fp32. For smaller ones the same memory would be
asked for again, at the price of clearing it."""


def give_back() -> None:
    """Gives back to the system what the C library keeps for other arrays and that lies between those in use: an array
    as large as all that finds no place there. Does nothing where the library isn't glibc."""
    _trim()(0)


@cache
def _trim() -> Callable[[int], object]:
    import ctypes

    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library.malloc_trim if library is not None and hasattr(library, "malloc_trim") else lambda _: 0
