"""WAV and its forms of 64 bits, RF64 and BW64 (EBU Tech 3306, ITU-R BS.2088)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO

from mctc.audio.container.correction import Correction, cut

ORDERS = {b"RIFF": "<", b"RIFX": ">", b"RF64": "<", b"BW64": "<"}
WIDE = (b"RF64", b"BW64")
UNKNOWN = 0xFFFF_FFFF
LONGEST_FORMAT = 1 << 12  # bytes
EVERY_SAMPLE = (1, 3, 6, 7, 0xFFFE)
"""Format tags of samples that are stored one by one: whole numbers, floats, A-law, mu-law, and the extensible form."""
MOST_CHUNKS = 1000


def begins(start: bytes) -> bool:
    """Whether a file that begins so is one."""
    return start[:4] in ORDERS and start[8:12] == b"WAVE"


def corrected(file: IO[bytes], size: int) -> Correction | None:
    """A size of the sound of 0 with sound behind it is told as the size of what is there. In blocks of several samples
    the chunk `fact` has how many samples there are. Of the forms of 64 bits the head is made anew as RF64 with the
    chunks that are needed: libsndfile doesn't know BW64, and loses its way behind others of odd length."""
    file.seek(0)
    magic = file.read(4)
    order = ORDERS[magic]
    described, samples, wide = b"", None, 0
    for name, at, length in chunks(file, 12, size, order):
        file.seek(at)
        if name == b"fmt ":
            described = file.read(min(length, LONGEST_FORMAT))
        elif name == b"fact" and length >= 4:
            (samples,) = struct.unpack(f"{order}I", file.read(4).ljust(4, b"\0"))
        elif name == b"ds64" and length >= 16:
            (wide,) = struct.unpack("<8xQ", file.read(16).ljust(16, b"\0"))
        elif name == b"data":
            length = wide if magic in WIDE and length == UNKNOWN else length
            unsaid = length == 0 and at < size and not _only_chunks(file, at, size, order)
            head = b""
            if magic in WIDE:
                head = _wide(described, size - at if unsaid else min(length, size - at))
            elif unsaid:
                file.seek(0)
                head = file.read(at - 4) + struct.pack(f"{order}I", UNKNOWN)
            tag = struct.unpack(f"{order}H", described[:2].ljust(2, b"\0"))[0]
            limit = samples if samples and samples != UNKNOWN and tag not in EVERY_SAMPLE else None
            missing = cut(length, size - at)
            return Correction(head, at if head else 0, limit, missing) if head or limit or missing else None
    return None


def _wide(described: bytes, length: int) -> bytes:
    """What stands before so many bytes of sound of the format that `described` has."""
    large = b"ds64" + struct.pack("<IQQQI", 28, length + 80 + len(described), length, 0, 0)
    form = b"fmt " + struct.pack("<I", len(described)) + described + b"\0" * (len(described) % 2)
    return b"RF64\xff\xff\xff\xffWAVE" + large + form + b"data\xff\xff\xff\xff"


def chunks(file: IO[bytes], at: int, size: int, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Name, place of the content, and length as it is told, of each chunk from byte `at` on."""
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        header = file.read(8)
        if len(header) < 8 or at > size:
            return
        name, length = header[:4], struct.unpack(f"{order}I", header[4:])[0]
        yield name, at + 8, length
        at += 8 + length + length % 2


def _only_chunks(file: IO[bytes], at: int, size: int, order: str) -> bool:
    """Whether what follows is a row of chunks that ends with the file, and so no sound."""
    end = at
    for name, begin, length in chunks(file, at, size, order):
        if not all(0x20 <= byte < 0x7F for byte in name):
            return False
        end = begin + length + length % 2
    return end - 1 <= size <= end
