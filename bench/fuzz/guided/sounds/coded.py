"""Sound files that libsndfile writes: compressed ones, and rarer formats; and what streams make of FLAC and MP3."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

CODED = (
    *(("flac", "FLAC", "PCM_16"), ("flac", "FLAC", "PCM_24"), ("flac", "FLAC", "PCM_S8"), ("ogg", "OGG", "VORBIS")),
    *(("opus", "OGG", "OPUS"), ("mp3", "MP3", "MPEG_LAYER_III"), ("caf", "CAF", "ALAC_16"), ("caf", "CAF", "ALAC_24")),
    *(("w64", "W64", "PCM_16"), ("w64", "W64", "DOUBLE"), ("rf64", "RF64", "PCM_24"), ("voc", "VOC", "PCM_16")),
    *(("sph", "NIST", "PCM_16"), ("wav", "WAVEX", "PCM_16"), ("aiff", "AIFF", "FLOAT"), ("aiff", "AIFF", "PCM_U8")),
    *(("wav", "WAV", "MS_ADPCM"), ("wav", "WAV", "GSM610"), ("wav", "WAV", "G721_32"), ("wav", "WAV", "NMS_ADPCM_16")),
    *(("", each, "PCM_16") for each in ("IRCAM", "PAF", "PVF", "SVX", "MAT4", "MAT5", "AVR", "HTK")),
)  # fmt: skip
"""Suffix, format and coding as soundfile calls them."""
EVERY_RATE = ("FLAC", "W64", "RF64", "CAF", "WAVEX")
RATES = {
    "MPEG_LAYER_III": (8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
    "OPUS": (8_000, 16_000, 24_000, 48_000),
}


def coded(kind: tuple[str, str, str], samples: NDArray[np.float64], rate: int) -> bytes | None:
    """The file of samples [samples, channels]; None where the format has no such rate or number of channels."""
    import soundfile

    _, container, coding = kind
    target = io.BytesIO()
    try:
        soundfile.write(target, samples, rate, coding, format=container)
    except (RuntimeError, ValueError, TypeError):
        return None
    return target.getvalue()


def of_unknown_length(flac: bytes) -> bytes:
    """A FLAC file as it comes from a pipe: its header has 0 samples, which means that nobody knows."""
    data = bytearray(flac)
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    return bytes(data)


def without_count(mp3: bytes) -> tuple[bytes, int]:
    """An MP3 of LAME's without its first frame, which counts the others; and the samples that these hold, without the
    529 by which every decoder is late."""
    counting = max(mp3.find(b"Xing", 0, 200), mp3.find(b"Info", 0, 200))
    frames = int.from_bytes(mp3[counting + 8 : counting + 12], "big")
    samples = 1152 if mp3[1] & 0x08 else 576
    return mp3[mp3.index(mp3[:2], counting + 120) :], frames * samples - 529
