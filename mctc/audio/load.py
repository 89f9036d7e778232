"""Recordings from disk: mono float32 samples at one rate, whole or as a stream of blocks.

soxr resamples, at its high quality setting. It is imported when a file of another rate is read, never before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from mctc.audio.errors import AudioError, corrupt, too_short
from mctc.audio.scale import other_scale
from mctc.audio.sound import AudioInfo, Float32, Sound, library, opened

SAMPLE_RATE = 16_000

# Read in blocks of one length whatever the caller's, so that resampling rounds alike for every way of asking.
_READ_FRAMES = 16_384


def probe_audio(path: Path | str) -> AudioInfo:
    """The header of a recording. Raises `AudioError` for a missing, empty, corrupt or unsupported file."""
    with opened(Path(path)) as sound:
        return sound.info


def load_audio(
    path: Path | str, sample_rate: int = SAMPLE_RATE, start_s: float = 0.0, duration_s: float | None = None
) -> Float32:
    """All samples [samples] of a recording or a piece of it, as `stream_audio` gives them."""
    return np.concatenate(list(_resampled(Path(path), sample_rate, start_s, duration_s)))


def stream_audio(
    path: Path | str,
    chunk_samples: int,
    sample_rate: int = SAMPLE_RATE,
    start_s: float = 0.0,
    duration_s: float | None = None,
) -> Iterator[Float32]:
    """A recording in blocks [chunk_samples] of floats, full scale 1; the last block may be shorter. Lossy files, and
    other rates, may go a little beyond.

    start_s, duration_s: the piece that is meant, to the end if None. What lies outside of it isn't read.

    Channels are averaged and the result is resampled to `sample_rate` in Hz. The samples don't depend on
    `chunk_samples`. The file is opened at the first block. Raises `AudioError` for a missing, empty, corrupt or
    unsupported file, and `ValueError` for a chunk of no samples or a rate that isn't positive.
    """
    if chunk_samples < 1:
        raise ValueError(f"chunk_samples must be at least 1, not {chunk_samples}")
    if sample_rate < 1:
        raise ValueError(f"sample_rate must be at least 1 Hz, not {sample_rate}")
    return _rechunked(_resampled(Path(path), sample_rate, start_s, duration_s), chunk_samples)


def _rechunked(blocks: Iterator[Float32], chunk: int) -> Iterator[Float32]:
    held: Float32 = np.empty(0, np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        whole = held.size - held.size % chunk
        for start in range(0, whole, chunk):
            yield held[start : start + chunk]
        held = held[whole:]
    if held.size:
        yield held


def _resampled(path: Path, sample_rate: int, start_s: float, duration_s: float | None) -> Iterator[Float32]:
    with opened(path) as sound:
        info = sound.info
        begin, end = _piece(info, path, start_s, duration_s)
        resample, given = resampler(info.sample_rate, sample_rate, path), 0
        for block in _mono_blocks(sound, begin, end):
            yield (known := resample(block, False))
            given += len(known)
        yield (known := resample(np.empty(0, np.float32), True))
        if not given + len(known):
            raise too_short(path, end - begin, info.sample_rate, sample_rate)


def resampler(given: int, wanted: int, name: Path | str) -> Callable[[Float32, bool], Float32]:
    """What brings blocks [samples] of a stream from one rate to another, the second argument says which is the last.

    Raises `AudioError` where the library for it is missing.
    """
    if given == wanted:
        return lambda block, _: block
    stream = library("soxr", name).ResampleStream(given, wanted, 1, dtype="float32", quality="HQ")
    return lambda block, last: stream.resample_chunk(block, last=last)


def _piece(info: AudioInfo, path: Path, start_s: float, duration_s: float | None) -> tuple[int, int]:
    """First sample of a piece, and the one behind its last; it ends with the recording at the latest."""
    begin = round(start_s * info.sample_rate)
    end = info.samples if duration_s is None else min(info.samples, round((start_s + duration_s) * info.sample_rate))
    if not 0 <= begin < end:
        problem = f"there is no sound from {start_s:g} s to {end / info.sample_rate:g} s of its {info.seconds:g} s"
        raise AudioError(path, problem, "check where the piece begins and ends")
    return begin, end


def _mono_blocks(sound: Sound, begin: int, end: int) -> Iterator[Float32]:
    """Blocks [samples] from sample `begin` to `end`, channels averaged. Raises AudioError."""
    read = begin
    if begin:
        sound.skip(begin)
    while read < end:
        block = sound.read(min(_READ_FRAMES, end - read))
        if not block.shape[0]:
            told = f"it ends after {read} of the {sound.info.samples} samples that its header announces"
            raise corrupt(sound.path, told)
        if not np.isfinite(block).all():
            raise corrupt(sound.path, f"it holds samples that are not finite numbers, after sample {read}")
        if (wrong := other_scale(block)) is not None:
            raise AudioError(sound.path, f"it holds {wrong[0]}, after sample {read}", wrong[1])
        read += block.shape[0]
        yield block.mean(axis=1, dtype=np.float32)
