"""A sound file that is open: its own rate, channels and length, and its samples from start to end.

soundfile reads (WAV, FLAC and whatever else its libsndfile knows). It is imported when a file is opened, never before.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mctc.audio.container import ContainerError, Correction, View, corrected, readable
from mctc.audio.container.foreign import foreign
from mctc.audio.errors import AudioError, corrupt
from mctc.records import dataclass

Float32 = NDArray[np.float32]

RATES = (1_000, 1_000_000)  # Hz; what lies outside is a damaged header, and one of 1 Hz makes days of an instant
_UNKNOWN = 1 << 62  # frames; libsndfile says more than that of a FLAC file whose header says nothing
_COUNTED = 1 << 16  # frames that are read at once where they are only counted
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


class Sound:
    """An open `soundfile.SoundFile`, read from start to end."""

    def __init__(self, path: Path, file: Any, samples: int = 0) -> None:
        self.path, self._file, self._at = path, file, 0
        # soundfile seeks behind each read of a file that says that it can. In FLAC and MP3 that is slow, and it fails
        # at the end of a file that doesn't say how long it is.
        # A place in an MP3 is found only nearly, and what follows it needs frames before it.
        self._seeks = file.seekable() and file.format != "MP3"
        file.seekable = lambda: False
        self.info = AudioInfo(int(file.samplerate), int(file.channels), samples)

    def skip(self, samples: int) -> None:
        """Goes on by so many samples. Raises AudioError."""
        if self._seeks:
            try:
                self._at = self._file.seek(samples, 1)
            except RuntimeError as error:
                raise corrupt(self.path, f"sample {samples} can't be found ({_reason(error)})") from error
            return
        end = self._at + samples
        while self._at < end and len(self.read(min(_COUNTED, end - self._at))):
            pass

    def read(self, samples: int) -> Float32:
        """The next samples [samples, channels], at the end fewer or none. Raises AudioError."""
        try:
            block: Float32 = self._file.read(samples, dtype="float32", always_2d=True)
        except RuntimeError as error:
            told = f"its sound can't be decoded after sample {self._at} ({_reason(error)})"
            raise corrupt(self.path, told) from error
        self._at += len(block)
        return block


@contextmanager
def opened(path: Path) -> Iterator[Sound]:
    """A file with at least one sample in it. Raises AudioError for a missing, empty, corrupt or unsupported one."""
    with ExitStack() as stack:
        correction, raw = _looked_at(path, stack)
        source = str(path) if correction is None or not correction.head else View(raw, _size(raw), correction)
        sound = stack.enter_context(_read_by_soundfile(path, source))
        samples = int(sound.frames)
        if samples > _UNKNOWN:
            with _read_by_soundfile(path, source) as again:
                samples = _counted(Sound(path, again))
        if correction is not None and correction.samples is not None:
            samples = min(samples, correction.samples)
        if not samples:
            raise AudioError(path, "the recording has no samples", "record it again")
        if not RATES[0] <= sound.samplerate <= RATES[1]:
            raise corrupt(path, f"its header says {sound.samplerate} Hz, and recordings have {RATES[0]} to {RATES[1]}")
        yield Sound(path, sound, samples)


def cut_short(path: Path) -> str:
    """What tells that a file is cut short; nothing where nothing does. Raises AudioError as `opened` does.

    Of FLAC and MP3 that is found when they are decoded.
    """
    with ExitStack() as stack:
        correction, _ = _looked_at(path, stack)
        return "" if correction is None else correction.cut


def _looked_at(path: Path, stack: ExitStack) -> tuple[Correction | None, IO[bytes]]:
    """What its header should say, and the open file. libsndfile reports a forbidden file only as a "System error"."""
    if not path.exists():
        raise AudioError(path, "there is no such file", "check the path")
    if not path.is_file():
        raise AudioError(path, "this is not a regular file", _FORMATS)
    try:
        raw = stack.enter_context(path.open("rb"))
        size = _size(raw)
        if size and not readable(raw, path.suffix):
            raise _no_sound(path, raw)
        correction = corrected(raw, size, path.suffix) if size else None
    except OSError as error:
        raise AudioError(path, f"it can't be read ({error.strerror})", "check its permissions") from error
    except ContainerError as error:
        raise AudioError(
            path, f"only a part of it can be read: {error}", "convert it to one WAV or FLAC file"
        ) from error
    if not size:
        raise AudioError(path, "the file is empty (0 bytes)", "record it again")
    return correction, raw


def _read_by_soundfile(path: Path, source: str | View) -> Any:
    """A `SoundFile`, to be read and closed."""
    soundfile = library("soundfile", path)
    try:
        return soundfile.SoundFile(source)
    except (RuntimeError, TypeError, ValueError) as error:
        raise _unreadable(path, _reason(error)) from error


def _counted(sound: Sound) -> int:
    """The samples that there are."""
    count = 0
    while block := len(sound.read(_COUNTED)):
        count += block
    return count


def _size(file: IO[bytes]) -> int:
    return file.seek(0, 2)


def _no_sound(path: Path, file: IO[bytes]) -> AudioError:
    """The error of a file that begins like none that is read; of what kind it is, where that can be told."""
    file.seek(0)
    if (kind := foreign(file.read(16))) is None:
        return _unreadable(path, "it begins like none")
    return AudioError(path, f"this is {kind}, which isn't read", "convert it: ffmpeg -i FILE talk.wav")


def _unreadable(path: Path, reason: str) -> AudioError:
    problem = f"this is not a sound file that can be read ({reason})"
    return AudioError(path, problem, f"it is corrupt or of an unsupported format: {_FORMATS}")


def _reason(error: Exception) -> str:
    """libsndfile's own words, without the path that soundfile puts in front of them."""
    return str(getattr(error, "error_string", error)).strip().rstrip(".")


def library(name: str, path: Path | str) -> Any:
    """A library by its name. Raises AudioError, which names what is to be read, where it is missing."""
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:
        # OSError: soundfile is there, but not the libsndfile that it binds.
        raise AudioError(path, f"reading it needs the package {name} ({error})", f"pip install {name}") from error
