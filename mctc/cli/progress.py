"""What takes long says where it is: one line on a terminal after two seconds, or with -v a line a step."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, Timer
from time import monotonic
from typing import TYPE_CHECKING

import click

from mctc.cli.terminal import lines_may_move
from mctc.cli.verbosity import Verbosity, verbosity

if TYPE_CHECKING:
    from rich.status import Status

PATIENCE_S = 2.0

Step = Callable[[str], None]


@contextmanager
def progress(doing: str) -> Iterator[Step]:
    """Yields what is told the name of each step as it begins. Nothing is shown in a pipe, in CI's logs or with -q."""
    if verbosity() is Verbosity.VERBOSE:
        yield _told(monotonic())
    elif verbosity() is Verbosity.QUIET or not lines_may_move(sys.stderr):
        yield lambda step: None
    else:
        line = _Line(doing)
        try:
            yield line.step
        finally:
            line.end()


def _told(began: float) -> Step:
    return lambda step: click.echo(f"{monotonic() - began:7.2f} s  {step}", err=True)


class _Line:
    """A line with a spinner that appears when patience ends, and leaves nothing behind."""

    def __init__(self, doing: str) -> None:
        self._doing, self._at = doing, ""
        self._lock = Lock()
        self._status: Status | None = None
        self._timer = Timer(PATIENCE_S, self._appear)
        self._timer.daemon = True
        self._timer.start()

    def step(self, step: str) -> None:
        """Says what is done from now on."""
        with self._lock:
            self._at = step
            if self._status is not None:
                self._status.update(self._text())

    def end(self) -> None:
        """Takes the line away."""
        self._timer.cancel()
        with self._lock:
            self._doing = ""
            if self._status is not None:
                self._status.stop()

    def _appear(self) -> None:
        from rich.console import Console
        from rich.status import Status

        with self._lock:
            if self._doing:
                self._status = Status(self._text(), console=Console(file=sys.stderr))
                self._status.start()

    def _text(self) -> str:
        """At most half a narrow terminal, so that the line never wraps."""
        from rich.markup import escape

        text = f"{self._doing}: {self._at}" if self._at else self._doing
        return escape(text if len(text) <= 70 else f"{text[:67]}...")
