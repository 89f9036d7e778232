"""How a header is to be read otherwise than it is written."""

from __future__ import annotations

from mctc.records import dataclass


@dataclass(frozen=True)
class Correction:
    """head: stands in the place of the first `replaces` bytes of the file. samples: no more than so many a channel are
    sound, None for no such limit."""

    head: bytes = b""
    replaces: int = 0
    samples: int | None = None


class ContainerError(ValueError):
    """A file that libsndfile would read only in part: what is wrong with it."""
