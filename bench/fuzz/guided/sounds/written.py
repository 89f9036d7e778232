"""Sound files of whole samples, written as their formats have it and as programs write them that can't go back."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import frexp

ALL_ONES = 0xFFFF_FFFF
LATER = b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
"""What follows the format tag in the GUID of the extensible form."""


@dataclass(frozen=True)
class Layout:
    """How samples are written: channels, rate in Hz, bits a sample, floats or whole numbers, or of 8 bits a law."""

    channels: int
    rate: int
    bits: int
    coding: str = "pcm"

    @property
    def frame(self) -> int:
        """Bytes of one sample of every channel."""
        return self.channels * self.bits // 8


TAGS = {"pcm": 1, "float": 3, "alaw": 6, "ulaw": 7}
AU = {("ulaw", 8): 1, ("pcm", 8): 2, ("pcm", 16): 3, ("pcm", 24): 4, ("pcm", 32): 5, ("float", 32): 6, ("float", 64): 7,
      ("alaw", 8): 27}  # fmt: skip


@dataclass(frozen=True)
class Wav:
    """What may differ between WAV files of the same sound. size: of the sound as the header has it, None for the right
    one; before, after: other chunks around the sound; padded: whether an odd chunk ends with a zero."""

    magic: bytes = b"RIFF"
    extensible: bool = False
    size: int | None = None
    whole: int | None = None
    before: bytes = b""
    after: bytes = b""
    padded: bool = True


def chunk(name: bytes, content: bytes, order: str = "<", padded: bool = True) -> bytes:
    """A chunk of RIFF or AIFF, padded to an even length."""
    return name + struct.pack(f"{order}I", len(content)) + content + b"\0" * (padded and len(content) % 2)


def wav(layout: Layout, sound: bytes, hole: int, form: Wav) -> tuple[bytes, int]:
    """The file without its hole, and where the hole is: before the sound that is given."""
    order = ">" if form.magic == b"RIFX" else "<"
    wide = form.magic in (b"RF64", b"BW64")
    length = len(sound) + hole
    told = length if form.size is None else form.size
    head = b"WAVE"
    if wide:
        head += chunk(b"ds64", struct.pack("<QQQI", told + 100, told, told // layout.frame, 0))
    head += form.before + chunk(b"fmt ", _format(layout, form.extensible, order), order)
    head += b"data" + struct.pack(f"{order}I", ALL_ONES if wide else told)
    tail = sound + b"\0" * (form.padded and length % 2) + form.after
    total = len(head) + hole + len(tail) if form.whole is None else form.whole
    start = form.magic + struct.pack(f"{order}I", ALL_ONES if wide else total & ALL_ONES) + head
    return start + tail, len(start)


def _format(layout: Layout, extensible: bool, order: str) -> bytes:
    tag, rate = TAGS[layout.coding], layout.rate
    numbers = (layout.channels, rate, rate * layout.frame & ALL_ONES, layout.frame, layout.bits)
    if not extensible:
        return struct.pack(f"{order}HHIIHH", tag, *numbers)
    return struct.pack(f"{order}HHIIHHHHIH", 0xFFFE, *numbers, 22, layout.bits, 0, tag) + LATER


def aiff(layout: Layout, sound: bytes, swapped: bool) -> bytes:
    """An AIFF file of whole numbers. swapped: the sound comes before the description."""
    common = chunk(b"COMM", struct.pack(">hIh", layout.channels, len(sound) // layout.frame, layout.bits)
                   + _extended(layout.rate), ">")  # fmt: skip
    data = chunk(b"SSND", bytes(8) + sound, ">")
    body = b"AIFF" + (data + common if swapped else common + data)
    return b"FORM" + struct.pack(">I", len(body)) + body


def _extended(value: int) -> bytes:
    """A whole number as a float of 80 bits: sign and exponent, then the significand with its leading one."""
    _, exponent = frexp(value)
    return struct.pack(">HQ", 16_382 + exponent, value << (64 - exponent))


def au(layout: Layout, sound: bytes, size: int | None, remark: bytes) -> bytes:
    """An AU file. remark: the text behind the header."""
    told = len(sound) if size is None else size
    numbers = (24 + len(remark), told, AU[layout.coding, layout.bits], layout.rate, layout.channels)
    return b".snd" + struct.pack(">5I", *numbers) + remark + sound


def caf(layout: Layout, sound: bytes, size: int | None) -> bytes:
    """A CAF file of whole numbers or floats, the first byte of each the lowest."""
    flags = 2 | (layout.coding == "float")
    described = struct.pack(">d4s5I", layout.rate, b"lpcm", flags, layout.frame, 1, layout.channels, layout.bits)
    told = len(sound) + 4 if size is None else size
    return b"caff\0\1\0\0desc" + struct.pack(">q", 32) + described + b"data" + struct.pack(">qI", told, 0) + sound
