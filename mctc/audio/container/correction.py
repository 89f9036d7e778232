"""How a header is to be read otherwise than it is written."""

from __future__ import annotations

from mctc.records import dataclass


@dataclass(frozen=True)
class Correction:
    """head: stands in the place of the first `replaces` bytes of the file. samples: no more than so many a channel are
    sound, None for no such limit. cut: what tells that the file is cut short, if anything does."""

    head: bytes = b""
    replaces: int = 0
    samples: int | None = None
    cut: str = ""


OPEN = 0x7FFF_0000
"""A size from here on is what a program writes that doesn't know it: all ones, with or without the first, and less what
is rounded off."""
SLACK = 4096  # bytes that may be missing at an end: some programs count a head, or a last block, twice


def cut(length: int, there: int) -> str:
    """What tells that of `length` bytes of sound, as a header says, only some are there; nothing where that is a size
    that a stream left open, or little."""
    if not there + SLACK < length < OPEN:
        return ""
    return f"its header announces {length:,} bytes of sound, {there:,} are there"


class ContainerError(ValueError):
    """A file that libsndfile would read only in part: what is wrong with it."""
