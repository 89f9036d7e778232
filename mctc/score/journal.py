"""What was done so far, in a file that survives a kill: a line that says what is scored, then a line a record."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mctc.score.errors import ScoreError
from mctc.score.record import Record, read_record
from mctc.score.result import differing

KEY = "mctc score"
HINT = "give another file, or remove this one to begin anew"


class Journal:
    """An open file of records. Each goes to it as one line in one write, so a kill leaves at most a torn last line,
    which is taken away when the file is opened again."""

    def __init__(self, path: Path, descriptor: int, about: Mapping[str, Any]) -> None:
        self.path, self._descriptor = path, descriptor
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if not whole and not _line({KEY: ""}).startswith(data[: len(KEY) + 3]):
            raise ScoreError(f"{self.path}:1: this is no record of mctc score", hint=HINT)
        lines = whole.splitlines()
        if lines:
            self._same(lines[0], about)
        if len(whole) != len(data):
            os.ftruncate(descriptor, len(whole))
        if not lines:
            self._append({KEY: dict(about)})
        self.records = [self._record(number, line) for number, line in enumerate(lines[1:], 2)]

    def append(self, record: Record) -> None:
        """Raises OSError."""
        self._append(record.written())

    def _append(self, content: Mapping[str, Any]) -> None:
        data = _line(content)
        while data:
            data = data[os.write(self._descriptor, data) :]

    def _same(self, line: bytes, about: Mapping[str, Any]) -> None:
        """Raises ScoreError where the file is of other builds, data or settings, or no such file."""
        try:
            other = differing(json.loads(line)[KEY], about)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ScoreError(f"{self.path}:1: this is no record of mctc score", hint=HINT) from error
        if other:
            raise ScoreError(f"{self.path} is of another run: it differs in {', '.join(other)}", hint=HINT)

    def _record(self, number: int, line: bytes) -> Record:
        try:
            return read_record(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise ScoreError(f"{self.path}:{number}: this line is damaged", hint=HINT) from error


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode() + b"\n"


@contextmanager
def journal(path: Path, about: Mapping[str, Any]) -> Iterator[Journal]:
    """The records of a run that `about` identifies, with what was done of it before. Raises ScoreError for a file of
    another run or of another program, and for one that a process is writing; OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ScoreError(
                f"{path} is written by another process", hint="each process has a file of its own"
            ) from error
        yield Journal(path, descriptor, about)
    finally:
        os.close(descriptor)
