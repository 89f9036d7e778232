"""Samples as a WAV file."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

FLOATS = 3  # the format tag of IEEE floats (WAVE_FORMAT_IEEE_FLOAT)


def wav_of(samples: NDArray[np.float32], rate: int) -> bytes:
    """One channel of 32-bit floats, at a rate in Hz."""
    data = np.asarray(samples, "<f4").tobytes()
    described = struct.pack("<HHIIHHH", FLOATS, 1, rate, 4 * rate, 4, 32, 0)
    counted = struct.pack("<4sII", b"fact", 4, len(data) // 4)
    parts = struct.pack("<4sI", b"fmt ", len(described)) + described + counted
    parts += struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI4s", b"RIFF", 4 + len(parts), b"WAVE") + parts
