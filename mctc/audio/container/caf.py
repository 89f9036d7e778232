"""CAF, Apple's Core Audio Format."""

from __future__ import annotations

import struct
from typing import IO

from mctc.audio.container.correction import Correction, cut

HEADER = struct.Struct(">4sq")
MOST_CHUNKS = 1000


def begins(start: bytes) -> bool:
    """Whether a file that begins so is one."""
    return start[:4] == b"caff"


def corrected(file: IO[bytes], size: int) -> Correction | None:
    """A size of the sound of -1, which says that it goes to the end, or of more than is there, is told as the size of
    what is there."""
    at = 8
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        header = file.read(HEADER.size)
        if len(header) < HEADER.size:
            return None
        name, length = HEADER.unpack(header)
        rest = size - at - HEADER.size
        if name == b"data":
            if 0 <= length <= rest:
                return None
            file.seek(0)
            return Correction(file.read(at) + HEADER.pack(name, rest), at + HEADER.size, cut=cut(length, rest))
        if not 0 <= length <= rest:
            return None
        at += HEADER.size + length
    return None
