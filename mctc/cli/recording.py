"""The recording that a command runs over: a file, standard input, or the one that ships with mctc."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from mctc.cli.options import NamedPath, take_standard_input
from mctc.diagnostics.errors import MctcError

NAME = "<stdin>"


@dataclass(frozen=True)
class Recording:
    """path: where the sound is read from; name: what the user calls it."""

    path: Path
    name: str


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


@contextmanager
def opened(given: Any) -> Iterator[Recording]:
    """What AUDIO gave, as a file: standard input becomes one, since a sound file is not read from start to end.

    Errors that name that file name standard input instead.
    """
    if given is not STANDARD_INPUT:
        yield Recording(given, str(given))
        return
    with TemporaryDirectory(prefix="mctc-") as folder:
        path = Path(folder) / NAME
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        try:
            yield Recording(path, NAME)
        except MctcError as error:
            error.message = error.message.replace(str(path), NAME)
            raise
