"""Recordings from disk: mono float32 samples at one rate, whole or as a stream of blocks.

soundfile reads (WAV, FLAC and whatever else its libsndfile knows) and soxr resamples, at its high quality setting.
Both are imported when a file is opened, never before.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mctc.audio.errors import AudioError

Float32 = NDArray[np.float32]

SAMPLE_RATE = 16_000

# Read in blocks of one length whatever the caller's, so that resampling rounds alike for every way of asking.
_READ_FRAMES = 16_384

RATES = (1_000, 1_000_000)  # Hz; what lies outside is a damaged header, and one of 1 Hz makes days of an instant
LOUDEST = 1e6  # full scale is 1; the squares of more don't fit the front end's numbers

_FORMATS = "give a WAV or FLAC file"


@dataclass(frozen=True)
class AudioInfo:
    """What a file says of itself: its own rate in Hz, its channels, and its length in samples a channel."""

    sample_rate: int
    channels: int
    samples: int

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.samples / self.sample_rate


def probe_audio(path: Path | str) -> AudioInfo:
    """The header of a recording. Raises `AudioError` for a missing, empty, corrupt or unsupported file."""
    with _opened(Path(path)) as sound:
        return _info(sound)


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
    """A recording in blocks [chunk_samples] of floats in [-1, 1]; the last block may be shorter.

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
    with _opened(path) as sound:
        info = _info(sound)
        begin, end = _piece(info, path, start_s, duration_s)
        resample = resampler(info.sample_rate, sample_rate, path)
        for block in _mono_blocks(sound, path, begin, end):
            yield resample(block, False)
        yield resample(np.empty(0, np.float32), True)


def resampler(given: int, wanted: int, name: Path | str) -> Callable[[Float32, bool], Float32]:
    """What brings blocks [samples] of a stream from one rate to another, the second argument says which is the last.

    Raises `AudioError` where the library for it is missing.
    """
    if given == wanted:
        return lambda block, _: block
    stream = _library("soxr", name).ResampleStream(given, wanted, 1, dtype="float32", quality="HQ")
    return lambda block, last: stream.resample_chunk(block, last=last)


def _piece(info: AudioInfo, path: Path, start_s: float, duration_s: float | None) -> tuple[int, int]:
    """First sample of a piece, and the one behind its last; it ends with the recording at the latest."""
    begin = round(start_s * info.sample_rate)
    end = info.samples if duration_s is None else min(info.samples, round((start_s + duration_s) * info.sample_rate))
    if not 0 <= begin < end:
        problem = f"there is no sound from {start_s:g} s to {end / info.sample_rate:g} s of its {info.seconds:g} s"
        raise AudioError(path, problem, "check where the piece begins and ends")
    return begin, end


def _mono_blocks(sound: Any, path: Path, begin: int, end: int) -> Iterator[Float32]:
    expected, read = _info(sound).samples, begin
    if begin:
        sound.seek(begin)
    while read < end:
        try:
            block = sound.read(min(_READ_FRAMES, end - read), dtype="float32", always_2d=True)
        except RuntimeError as error:
            raise _corrupt(path, f"its sound can't be decoded after sample {read} ({_reason(error)})") from error
        if not block.shape[0]:
            raise _corrupt(path, f"it ends after {read} of the {expected} samples that its header announces")
        if not np.isfinite(block).all():
            raise _corrupt(path, f"it holds samples that are not finite numbers, after sample {read}")
        if np.abs(block).max() > LOUDEST:
            raise _corrupt(path, f"it holds samples beyond {LOUDEST:g} times full scale, after sample {read}")
        read += block.shape[0]
        yield block.mean(axis=1, dtype=np.float32)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file as an open `soundfile.SoundFile` with at least one sample in it."""
    if not path.exists():
        raise AudioError(path, "there is no such file", "check the path")
    if not path.is_file():
        raise AudioError(path, "this is not a regular file", _FORMATS)
    soundfile = _library("soundfile", path)
    try:
        # Checked here because libsndfile reports a forbidden file only as a "System error".
        with path.open("rb") as raw:
            blank = not raw.read(1)
    except OSError as error:
        raise AudioError(path, f"it can't be read ({error.strerror})", "check its permissions") from error
    if blank:
        raise AudioError(path, "the file is empty (0 bytes)", "record it again")
    try:
        sound = soundfile.SoundFile(str(path))
    except (RuntimeError, TypeError, ValueError) as error:
        problem = f"this is not a sound file that can be read ({_reason(error)})"
        raise AudioError(path, problem, f"it is corrupt or of an unsupported format: {_FORMATS}") from error
    with sound:
        if not sound.frames:
            raise AudioError(path, "the recording has no samples", "record it again")
        if not RATES[0] <= sound.samplerate <= RATES[1]:
            raise _corrupt(path, f"its header says {sound.samplerate} Hz, and recordings have {RATES[0]} to {RATES[1]}")
        yield sound


def _info(sound: Any) -> AudioInfo:
    return AudioInfo(int(sound.samplerate), int(sound.channels), int(sound.frames))


def _corrupt(path: Path, problem: str) -> AudioError:
    return AudioError(path, f"the file is corrupt: {problem}", "record or convert it again")


def _reason(error: Exception) -> str:
    """libsndfile's own words, without the path that soundfile puts in front of them."""
    return str(getattr(error, "error_string", error)).strip().rstrip(".")


def _library(name: str, path: Path | str) -> Any:
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:
        # OSError: soundfile is there, but not the libsndfile that it binds.
        raise AudioError(path, f"reading it needs the package {name} ({error})", f"pip install {name}") from error
