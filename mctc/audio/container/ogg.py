"""Ogg, which holds Vorbis, Opus and FLAC (RFC 3533)."""

from __future__ import annotations

from typing import IO

from mctc.audio.container.correction import ContainerError, Correction

HEADER = 27  # bytes of a page before the lengths of its segments
FIRST, LAST = 2, 4  # the flags of a stream's first and last page

NO_END = "its last page is missing"


def begins(start: bytes) -> bool:
    """Whether a file that begins so is one."""
    return start[:4] == b"OggS"


def corrected(file: IO[bytes], size: int) -> Correction | None:
    """Only whether it is cut short. Raises ContainerError for streams one after another, of which libsndfile reads the
    first."""
    at, inside, last = 0, False, False
    while at < size:
        file.seek(at)
        header = file.read(HEADER)
        if len(header) < HEADER or header[:4] != b"OggS":
            return None if last or not at else Correction(cut=NO_END)
        first = bool(header[5] & FIRST)
        if first and inside:
            told = f"another stream begins at byte {at}, as in files put one behind the other"
            raise ContainerError(told)
        inside = inside or not first  # the first pages of streams side by side come before all others
        lengths = file.read(header[26])
        at += HEADER + len(lengths) + sum(lengths)
        last = bool(header[5] & LAST)
    return None if last and at == size else Correction(cut=NO_END)
