"""MP3 (ISO 11172-3 and 13818-3, layer III): frames, each with a header of its own, and no header before them.

Encoders put a frame without sound first that counts the others, `Xing` or `Info` where the side information ends, or
Fraunhofer's `VBRI`. Without it a decoder can only guess from the first frame, which is wrong where frames differ, and
of files put one behind the other it counts the first.
"""

from __future__ import annotations

import struct
from typing import IO

from mctc.audio.container.correction import Correction
from mctc.records import dataclass

KBPS = {
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""By version: 3 is MPEG-1, 2 is MPEG-2, and 0 is MPEG-2.5, whose bit rates are those of 2."""
LAYER_III = 1
VBRI = 4 + 32
TAG = 10  # bytes of the header of an ID3v2 tag
SEARCHED = 1 << 16  # bytes in which the next frame is looked for


@dataclass(frozen=True)
class Frame:
    """What the four bytes of a header say."""

    header: bytes
    version: int
    rate: int
    mono: bool
    length: int

    @property
    def side(self) -> int:
        """Bytes of header and side information."""
        return 4 + ((17 if self.mono else 32) if self.version == 3 else (9 if self.mono else 17))

    def follows(self, other: Frame) -> bool:
        """Whether both can be of one stream."""
        return (self.version, self.rate) == (other.version, other.rate)


def frame(header: bytes) -> Frame | None:
    """A frame of layer III from its first four bytes; None for what is none, or has a bit rate of its own."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    kbps, rate = header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer != LAYER_III or kbps in (0, 15) or rate == 3:
        return None
    hertz = RATES[version][rate]
    bits = (144 if version == 3 else 72) * KBPS[3 if version == 3 else 2][kbps] * 1000
    return Frame(header, version, hertz, header[3] >> 6 == 3, bits // hertz + (header[2] >> 1 & 1))


def begins(file: IO[bytes]) -> bool:
    """Whether a frame is the first thing in the file, or behind its tags."""
    return frame(behind_tags(file)[1]) is not None


def corrected(file: IO[bytes], size: int) -> Correction | None:
    """A file whose frames nothing counts, or of which more are there, begins with a frame that counts them."""
    first = _next(file, behind_tags(file)[0], None)
    if first is None:
        return None
    begin, leading = first
    told = counted(file, begin, leading)
    sound = begin if told is None else begin + leading.length
    frames = _frames(file, sound, size, leading)
    if (told is not None and told >= frames) or not frames:
        return None
    return Correction(_counting(leading, frames), sound)


def counted(file: IO[bytes], at: int, leading: Frame) -> int | None:
    """How many frames the first says that there are behind it; None where it holds sound."""
    file.seek(at)
    data = file.read(leading.length)
    if data[leading.side : leading.side + 4] in (b"Xing", b"Info"):
        flags, frames = struct.unpack(">II", data[leading.side + 4 : leading.side + 12].ljust(8, b"\0"))
        return int(frames) if flags & 1 else None
    if data[VBRI : VBRI + 4] == b"VBRI":
        return int(struct.unpack(">I", data[VBRI + 14 : VBRI + 18].ljust(4, b"\0"))[0])
    return None


def _counting(like: Frame, frames: int) -> bytes:
    """A frame without sound that says how many follow."""
    kbps = 0xB0 if like.version == 3 else 0xC0  # long enough at every rate
    header = bytes([0xFF, like.header[1] | 1, kbps | like.header[2] & 0x0C, like.header[3]])
    made = frame(header)
    assert made is not None
    return (header.ljust(made.side, b"\0") + b"Xing" + struct.pack(">II", 1, frames)).ljust(made.length, b"\0")


def _frames(file: IO[bytes], at: int, size: int, like: Frame) -> int:
    """The whole frames from byte `at` on; what lies between them is passed over."""
    count = 0
    while at < size:
        file.seek(at)
        found = frame(file.read(4))
        if found is None or not found.follows(like):
            again = _next(file, at, like)
            if again is None:
                break
            at, found = again
        at += found.length
        count += at <= size
    return count


def _next(file: IO[bytes], at: int, like: Frame | None) -> tuple[int, Frame] | None:
    """Place and header of the first frame from byte `at` on that another follows."""
    file.seek(at)
    data = file.read(SEARCHED)
    place = data.find(b"\xff")
    while place >= 0:
        found = frame(data[place : place + 4])
        if found is not None and (like is None or found.follows(like)):
            file.seek(at + place + found.length)
            after = frame(file.read(4))
            if after is not None and after.follows(found):
                return at + place, found
        place = data.find(b"\xff", place + 1)
    return None


def behind_tags(file: IO[bytes]) -> tuple[int, bytes]:
    """The place behind the ID3v2 tags at the start, whose lengths have seven bits a byte, and the four bytes there."""
    at = 0
    while True:
        file.seek(at)
        tag = file.read(TAG)
        if len(tag) < TAG or tag[:3] != b"ID3":
            return at, tag[:4]
        at += TAG + sum((byte & 0x7F) << 7 * place for place, byte in enumerate(reversed(tag[6:10])))
