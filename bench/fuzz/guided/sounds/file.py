"""A recording as one string of bytes, which any string of bytes is: what is known of it, then its content.

A hole is a stretch of zeros that isn't stored, so that hours of sound fit into a few bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path

SUFFIXES = (
    *("wav", "rf64", "aiff", "au", "caf", "w64", "flac", "ogg", "opus", "mp3", "voc", "sph", "gsm", "vox", "snd", ""),
    *("s16", "s32", "f32"),
)
RAW = ("s16", "s32", "f32")
"""Samples without a header, as they come through a pipe."""
HEADER = struct.Struct("<BIQBIHQ")
PIECE = 1 << 16


class Known(IntEnum):
    """What must come of it."""

    NOTHING = 0
    LENGTH = 1
    """It is read, with the length that was written."""
    NO_SOUND = 2
    """It is refused."""


@dataclass(frozen=True)
class Said:
    """Rate in Hz, channels, samples a channel."""

    rate: int
    channels: int
    samples: int


@dataclass(frozen=True)
class SoundFile:
    """`content` with `hole` zeros before its byte `at`. said: what was written, or of raw samples how."""

    suffix: str
    content: bytes
    said: Said = Said(0, 0, 0)
    known: Known = Known.NOTHING
    at: int = 0
    hole: int = 0

    def encoded(self) -> bytes:
        """As bytes."""
        said = self.said
        header = (self.at, self.hole, self.known, said.rate, said.channels, said.samples)
        return HEADER.pack(SUFFIXES.index(self.suffix), *header) + self.content

    def with_content(self, content: bytes) -> SoundFile:
        """Another content, of which nothing is known; the hole stays where it is."""
        return replace(self, content=content, known=Known.NOTHING, at=min(self.at, len(content)))

    def write(self, folder: Path) -> Path:
        """Lays it out in a folder, with a real hole where the file system has such; its path."""
        path = folder / f"x.{self.suffix}"
        with path.open("wb") as file:
            file.write(self.content[: self.at])
            file.truncate(self.at + self.hole)
            file.seek(self.at + self.hole)
            file.write(self.content[self.at :])
        return path

    def blocks(self) -> Iterator[bytes]:
        """The content with the zeros of the hole, in pieces."""
        yield self.content[: self.at]
        for start in range(0, self.hole, PIECE):
            yield bytes(min(PIECE, self.hole - start))
        yield self.content[self.at :]


LONGEST_HOLE = 1 << 30


def decoded(data: bytes) -> SoundFile:
    """The recording that a string of bytes is."""
    suffix, at, hole, known, rate, channels, samples = HEADER.unpack(data[: HEADER.size].ljust(HEADER.size, b"\0"))
    content = data[HEADER.size :]
    said = Said(rate, channels, samples)
    place = min(at, len(content))
    return SoundFile(
        SUFFIXES[suffix % len(SUFFIXES)], content, said, Known(known % len(Known)), place, hole % LONGEST_HOLE
    )
