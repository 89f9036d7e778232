"""What a recording's header leaves open or says wrongly, told right: libsndfile takes headers by their word.

A program that writes to a pipe can't go back to its header, so sizes of 0 and of all ones mean "to the end"; the frames
of an MP3 are estimated from its first one where no header counts them; a WAV file of packed blocks says how much of the
last one is sound. `corrected` finds such a header, `view` is the file with another head in its place.

riff: WAV, RF64 · au, caf: Sun's and Apple's · mp3, ogg.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO

from mctc.audio.container import au, caf, mp3, ogg, riff
from mctc.audio.container.correction import ContainerError, Correction
from mctc.audio.container.view import View

__all__ = ["ContainerError", "Correction", "View", "corrected"]

Begins = Callable[[bytes], bool]
Told = Callable[[IO[bytes], int], Correction | None]
KINDS: tuple[tuple[Begins, Told], ...] = (
    *((riff.begins, riff.corrected), (au.begins, au.corrected)),
    *((caf.begins, caf.corrected), (ogg.begins, ogg.corrected)),
)


def corrected(file: IO[bytes], size: int, suffix: str = "") -> Correction | None:
    """What has to be told otherwise of a file of `size` bytes; None where its header can be taken by its word, and for
    other formats. suffix: of its name. Raises `ContainerError` for what libsndfile would read only in part."""
    file.seek(0)
    start = file.read(12)
    for begins, told in KINDS:
        if begins(start):
            return told(file, size)
    return mp3.corrected(file, size) if suffix.lower() == ".mp3" or mp3.begins(file) else None
