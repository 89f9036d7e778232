"""The reading of recordings under a file: refused in words, or samples of the right number, all of them finite."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.fuzz.guided.bundle import emptied
from bench.fuzz.guided.session import CPU_SECONDS
from bench.fuzz.guided.sounds.file import RAW, Known, Said, SoundFile, decoded
from bench.fuzz.guided.sounds.told import told
from bench.fuzz.guided.verdict import Finding, Verdict, refused
from mctc.audio import AudioError, AudioInfo, load_audio, probe_audio, stream_audio
from mctc.audio.load import SAMPLE_RATE
from mctc.audio.raw import raw_audio
from mctc.audio.scale import LOUDEST
from mctc.audio.sound import Float32

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BLOCK = 5120
BYTES_PER_SECOND = 1 << 22
"""Of sound that a second of processor time is granted for, beside that of every input."""
PIECED = 1 << 17
"""Samples of the longest recording of which a piece is read too."""
OVERSHOOT = 4
"""How much louder a resampled sound may be than its samples."""


def try_sound(data: bytes, folder: Path) -> Verdict:
    """Bytes as a recording (sounds/file.py). Raises Finding, or what mctc/audio should not."""
    file = decoded(data)
    try:
        info, heard = _raw(file) if file.suffix in RAW else _recording(file, file.write(emptied(folder)))
    except AudioError as error:
        if not error.fix:
            raise Finding(f"no way out is told: {error}") from error
        if file.known is Known.LENGTH and round(_resampled(file.said)) > 0:
            raise Finding(f"a whole {file.suffix} file of {file.said} is refused: {error.problem}") from error
        return refused(error)
    if file.known is Known.NO_SOUND:
        raise Finding(f"a {file.suffix} file of {file.said} that is no sound is read as {heard} samples")
    said = _said(file)
    if said is not None and info != AudioInfo(said.rate, said.channels, said.samples):
        raise Finding(f"a {file.suffix} file of {said} is read as {info}")
    if abs(heard - _resampled(Said(info.sample_rate, info.channels, info.samples))) > 1:
        raise Finding(f"{heard} samples at {SAMPLE_RATE} Hz come of {info}")
    return Verdict.ACCEPTED


def _said(file: SoundFile) -> Said | None:
    """What it must be read as, where that is known."""
    if file.known is Known.LENGTH:
        return file.said
    return None if file.hole or file.suffix in RAW else told(file.content)


def seconds(data: bytes) -> float:
    """Processor time that an input may take."""
    file = decoded(data)
    return CPU_SECONDS + (len(file.content) + file.hole) / BYTES_PER_SECOND


def _resampled(said: Said) -> float:
    return said.samples * SAMPLE_RATE / said.rate


def _recording(file: SoundFile, path: Path) -> tuple[AudioInfo, int]:
    """What the file says of itself, and how many samples come of it."""
    info = probe_audio(path)
    heard = _checked(stream_audio(path, BLOCK))
    if info.samples <= PIECED and path.suffix != ".opus" and _said(file):
        _piece(path, info)
    return info, heard


def _raw(file: SoundFile) -> tuple[AudioInfo, int]:
    rate, channels = min(max(file.said.rate, 1000), 384_000), min(max(file.said.channels, 1), 8)
    size = channels * (2 if file.suffix == "s16" else 4)
    blocks = raw_audio(io.BufferedReader(_Pipe(file.blocks())), "<stdin>", rate, channels, file.suffix)
    heard = _checked(blocks)
    return AudioInfo(rate, channels, (len(file.content) + file.hole) // size), heard


class _Pipe(io.RawIOBase):
    """Pieces of bytes as a file without a place in it."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces, self._left = pieces, b""

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = piece
        wanted = memoryview(buffer).cast("B")
        count = min(len(wanted), len(self._left))
        wanted[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def _checked(blocks: Iterator[Float32]) -> int:
    """How many samples, each of which must be a sound."""
    count = 0
    for block in blocks:
        if block.dtype != np.float32 or block.ndim != 1:
            raise Finding(f"a block of {block.dtype}, shape {block.shape}")
        if not (np.abs(block) <= OVERSHOOT * LOUDEST).all():
            raise Finding("samples that are no sound")
        count += len(block)
    return count


def _piece(path: Path, info: AudioInfo) -> None:
    """A piece from the middle is what the whole has there, bit for bit; Opus alone is only nearly so."""
    start, length = info.samples // 3, info.samples // 2
    if not length:
        return
    whole = load_audio(path, info.sample_rate)
    piece = load_audio(path, info.sample_rate, start / info.sample_rate, length / info.sample_rate)
    if not np.array_equal(piece, whole[start : start + length]):
        raise Finding(f"a piece of {length} from sample {start} on is not the whole's")
