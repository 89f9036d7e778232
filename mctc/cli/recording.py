"""The recordings that a command runs over: files, folders of them, standard input, a microphone, or the one that ships
with mctc."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mctc.audio.endings import READ, SOUND
from mctc.cli.options import NamedPath, take_standard_input
from mctc.diagnostics.errors import MctcError, UsageError
from mctc.records import dataclass

if TYPE_CHECKING:
    from mctc.runtime.stream import Samples

NAME = "<stdin>"


@dataclass(frozen=True)
class Recording:
    """path: where the sound is read from; name: what the user calls it."""

    path: Path
    name: str

    def blocks(self, samples: int, rate: int) -> Iterator[Samples]:
        """The sound in blocks of so many samples, at a rate in Hz. Raises AudioError."""
        from mctc.audio.load import stream_audio

        return stream_audio(self.path, samples, rate)


@dataclass(frozen=True)
class Live:
    """Sound that comes while it is heard. sound: its blocks of samples at a rate in Hz."""

    name: str
    sound: Callable[[int], Iterator[Samples]]

    def blocks(self, _: int, rate: int) -> Iterator[Samples]:
        """The sound as it comes. Raises AudioError."""
        return self.sound(rate)


Source = Recording | Live


class AudioPath(NamedPath):
    """The path of a recording, or - for standard input."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A Path, or STANDARD_INPUT for '-'."""
        if value != "-":
            return super().convert(value, param, ctx)
        take_standard_input(ctx)
        return STANDARD_INPUT


AUDIO = AudioPath()
STANDARD_INPUT = object()


@dataclass(frozen=True)
class Pcm:
    """How raw samples on standard input are written: see `mctc.audio.raw`."""

    encoding: str
    rate: int
    channels: int


def expanded(given: Sequence[Any]) -> list[Any]:
    """What AUDIO gave, the sound files below it in place of a folder. Raises UsageError for a folder without any."""
    found: list[Any] = []
    for each in given:
        if not isinstance(each, Path) or not each.is_dir():
            found.append(each)
            continue
        files = sorted(path for path in each.rglob("*") if path.suffix.lower() in SOUND and path.is_file())
        if not files:
            raise UsageError(f"{each} holds no sound files", hint=f"they end in {', '.join(READ)}")
        found += files
    return found


@contextmanager
def opened(given: Any, pcm: Pcm | None = None) -> Iterator[Source]:
    """What AUDIO gave, as a source of sound: raw samples as they come, where standard input holds such; else a file,
    since a sound file is not read from start to end.

    Errors that name that file name standard input instead.
    """
    if isinstance(given, Live):
        yield given
        return
    if given is not STANDARD_INPUT:
        yield Recording(given, str(given))
        return
    if pcm is not None:
        yield _raw(pcm)
        return
    from tempfile import TemporaryDirectory  # brings more with it than a file needs

    with TemporaryDirectory(prefix="mctc-") as folder:
        path = Path(folder) / NAME
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        try:
            yield Recording(path, NAME)
        except MctcError as error:
            error.message = error.message.replace(str(path), NAME)
            raise


def _raw(pcm: Pcm) -> Live:
    from mctc.audio.raw import raw_audio

    return Live(NAME, lambda rate: raw_audio(sys.stdin.buffer, NAME, pcm.rate, pcm.channels, pcm.encoding, rate))


def listening() -> Live:
    """The microphone, until Ctrl-C."""
    from mctc.audio.microphone import NAME as MICROPHONE
    from mctc.audio.microphone import microphone

    return Live(MICROPHONE, lambda rate: _until_interrupted(microphone(rate)))


def _until_interrupted(blocks: Iterator[Samples]) -> Iterator[Samples]:
    """Sound that ends where the process is interrupted, in place of the process."""
    stopped: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: stopped.append(number))
    try:
        for block in blocks:
            if stopped:
                return
            yield block
    finally:
        signal.signal(signal.SIGINT, before)
