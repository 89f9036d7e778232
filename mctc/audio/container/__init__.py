"""What a recording's header leaves open or says wrongly, told right: libsndfile takes headers by their word.

A program that writes to a pipe can't go back to its header, so sizes of 0 and of all ones mean "to the end"; the frames
of an MP3 are estimated from its first one where no header counts them; a WAV file of packed blocks says how much of the
last one is sound. `corrected` finds such a header, `view` is the file with another head in its place. `readable` keeps
from libsndfile what begins like none of the formats that speech comes in: in some rarer ones it never ends, or takes
any bytes for sound.

riff: WAV, RF64 · au, caf: Sun's and Apple's · mp3, ogg.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO

from mctc.audio.container import au, caf, mp3, ogg, riff
from mctc.audio.container.correction import ContainerError, Correction
from mctc.audio.container.view import View

__all__ = ["ContainerError", "Correction", "View", "corrected", "readable"]

Begins = Callable[[bytes], bool]
Told = Callable[[IO[bytes], int], Correction | None]
KINDS: tuple[tuple[Begins, Told], ...] = (
    *((riff.begins, riff.corrected), (au.begins, au.corrected)),
    *((caf.begins, caf.corrected), (ogg.begins, ogg.corrected)),
)

STARTS = (
    b"RIFF",
    b"RIFX",
    b"RF64",
    b"BW64",
    b"riff",
    b".snd",
    b"dns.",
    b"caff",
    b"fLaC",
    b"OggS",
    b"NIST_1A",
    b"Creative Voice",
)
"""How files begin: WAV and its forms of 64 bits, AU, CAF, FLAC, Ogg, NIST's SPHERE, and VOC; AIFF by its two names."""
BARE = (".gsm", ".vox")
"""Files of telephones, which have no header, by their names."""


def readable(file: IO[bytes], suffix: str = "") -> bool:
    """Whether a file begins as a sound file. suffix: of its name."""
    file.seek(0)
    start = file.read(14)
    if start.startswith(STARTS) or (start[:4], start[8:12]) in ((b"FORM", b"AIFF"), (b"FORM", b"AIFC")):
        return True
    return suffix.lower() in (*BARE, ".mp3") or mp3.begins(file) or mp3.behind_tags(file)[1] == b"fLaC"


def corrected(file: IO[bytes], size: int, suffix: str = "") -> Correction | None:
    """What has to be told otherwise of a file of `size` bytes; None where its header can be taken by its word, and for
    other formats. suffix: of its name. Raises `ContainerError` for what libsndfile would read only in part."""
    file.seek(0)
    start = file.read(12)
    for begins, told in KINDS:
        if begins(start):
            return told(file, size)
    return mp3.corrected(file, size) if suffix.lower() == ".mp3" or mp3.begins(file) else None
