"""Encoded frames as searches are given them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mctc.diagnostics.errors import MctcError

# Any float type: an executor hands on the precision it computes in.
Floats = NDArray[np.floating[Any]]


class DecodeError(MctcError):
    """Decoding can't go on: what a function returned, where, and what was expected of it."""


def checked_frames(encoded: Floats) -> Floats:
    """Encoded frames as they are. Raises DecodeError for an array that isn't [frames, width]."""
    if encoded.ndim != 2:
        raise DecodeError(f"the encoder returned shape {list(encoded.shape)}, not [frames, width]")
    return encoded


def blocks(encoded: Floats, size: int) -> list[Floats]:
    """Encoded frames, at most `size` at a time; none where there are no frames. Raises DecodeError."""
    encoded = checked_frames(encoded)
    return [encoded[at : at + size] for at in range(0, len(encoded), size)]
