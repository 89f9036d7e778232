"""What a file of whole samples says of itself, read from its bytes alone: what mctc/audio is compared with.

Only files whose header leaves no doubt are answered for; None for all others.
"""

from __future__ import annotations

import struct

from bench.fuzz.guided.sounds.file import Said
from bench.fuzz.guided.sounds.written import ALL_ONES, AU, LATER, TAGS

WIDTHS = {TAGS["pcm"]: (8, 16, 24, 32), TAGS["float"]: (32, 64), TAGS["alaw"]: (8,), TAGS["ulaw"]: (8,)}


def told(data: bytes) -> Said | None:
    """Rate, channels and samples of a WAV, AU or FLAC file."""
    try:
        if data[:4] == b"RIFF" and data[8:16] == b"WAVEfmt ":
            return _wav(data)
        if data[:4] == b".snd":
            return _au(data)
        if data[:8] == b"fLaC\0\0\0\x22" or data[:8] == b"fLaC\x80\0\0\x22":
            return _flac(data)
    except struct.error:
        return None
    return None


def _wav(data: bytes) -> Said | None:
    length, tag, channels, rate, _, frame, bits = struct.unpack("<IHHIIHH", data[16:36])
    if tag == 0xFFFE and length >= 40 and data[46:60] == LATER:
        (tag,) = struct.unpack("<H", data[44:46])
    if bits not in WIDTHS.get(tag, ()) or not channels or frame != channels * bits // 8 or not 16 <= length < 100:
        return None
    at = 20 + length + length % 2
    while data[at : at + 4] in (b"LIST", b"JUNK", b"bext"):
        (length,) = struct.unpack("<I", data[at + 4 : at + 8])
        at += 8 + length + length % 2
    if data[at : at + 4] != b"data":
        return None
    (size,) = struct.unpack("<I", data[at + 4 : at + 8])
    rest = len(data) - at - 8
    if size == 0 and rest:
        return None
    return Said(rate, channels, min(size, rest) // frame)


def _au(data: bytes) -> Said | None:
    offset, size, coding, rate, channels = struct.unpack(">5I", data[4:24])
    bits = {number: bits for (_, bits), number in AU.items()}.get(coding)
    if bits is None or not 24 <= offset <= len(data) or not 0 < channels <= 256 or size == 0:
        return None
    rest = len(data) - offset
    return Said(rate, channels, (rest if size == ALL_ONES else min(size, rest)) // (channels * bits // 8))


def _flac(data: bytes) -> Said | None:
    packed = int.from_bytes(data[18:26], "big")
    rate, channels, samples = packed >> 44, (packed >> 41 & 7) + 1, packed & (1 << 36) - 1
    return Said(rate, channels, samples) if samples else None
