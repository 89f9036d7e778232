"""AU, the sound files of Sun and NeXT."""

from __future__ import annotations

import struct
from typing import IO

from mctc.audio.container.correction import Correction, cut

ORDERS = {b".snd": ">", b"dns.": "<"}
UNKNOWN = 0xFFFF_FFFF


def begins(start: bytes) -> bool:
    """Whether a file that begins so is one."""
    return start[:4] in ORDERS


def corrected(file: IO[bytes], size: int) -> Correction | None:
    """A size of the sound of 0 with sound behind it is told as one that is not known."""
    file.seek(0)
    head = file.read(24)
    if len(head) < 24:
        return None
    order = ORDERS[head[:4]]
    offset, length = struct.unpack(f"{order}II", head[4:12])
    if length or offset >= size:
        missing = cut(length, size - offset)
        return Correction(cut=missing) if missing else None
    return Correction(head[:8] + struct.pack(f"{order}I", UNKNOWN) + head[12:], len(head))
