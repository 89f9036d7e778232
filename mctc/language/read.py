"""Reads source files: bounded, regular files only, valid UTF-8 without control characters."""

from __future__ import annotations

import os
import re
import stat
import sys
from pathlib import Path

from mctc.diagnostics.diagnostic import Diagnostic, DiagnosticError
from mctc.diagnostics.source import SourceFile, Span
from mctc.language.limits import SOURCE_BYTES

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class StandardInput:
    """A spec on standard input, which is read once. What it imports is looked for in the current folder."""

    NAME, FILE = "<stdin>", "stdin.mct"

    def __init__(self) -> None:
        self._data: bytes | None = None

    def __str__(self) -> str:
        return self.NAME

    def read(self) -> SourceFile:
        """The text. Raises DiagnosticError, as for a file."""
        if self._data is None:
            self._data = sys.stdin.buffer.read(SOURCE_BYTES + 1)
        return decode(bounded(self._data, self.NAME), self.NAME)


Spec = Path | StandardInput
"""Where a spec is read from."""


def read_source(path: Path, name: str | None = None) -> SourceFile:
    """The text of `path`; `name` is what diagnostics call it. Raises DiagnosticError."""
    shown = str(path) if name is None else name
    return decode(read_bytes(path, shown), shown)


def read_bytes(path: Path, shown: str) -> bytes:
    """At most SOURCE_BYTES of a regular file. Raises DiagnosticError."""
    try:
        os.fsdecode(path).encode()  # a build records the name
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise DiagnosticError(
                Diagnostic(
                    "MCT0002", f"{shown} is {what}", file=shown, hint="name a .mct file, or - for standard input"
                )
            )
        with path.open("rb") as file:
            data = file.read(SOURCE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno).lower() if isinstance(error, OSError) and error.errno else str(error)
        raise DiagnosticError(Diagnostic("MCT0001", f"cannot read {shown}: {reason}", file=shown)) from None
    return bounded(data, shown)


def bounded(data: bytes, shown: str) -> bytes:
    """`data`. Raises DiagnosticError when it is more than a source file may hold."""
    if len(data) > SOURCE_BYTES:
        message = f"{shown} is larger than {SOURCE_BYTES:,} bytes"
        raise DiagnosticError(
            Diagnostic("MCT0005", message, file=shown, hint="split it into files that import one another")
        )
    return data


def decode(data: bytes, shown: str) -> SourceFile:
    """Bytes as a source file. Raises DiagnosticError at the first byte that is not text."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = SourceFile(shown, data[: error.start].decode("utf-8", "replace") + "\N{REPLACEMENT CHARACTER}")
        span = Span(before, len(before.text) - 1, len(before.text))
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise DiagnosticError(Diagnostic("MCT0003", message, span, "save the file as UTF-8")) from None
    source = SourceFile(shown, text)
    control = CONTROL.search(text)
    if control:
        span = Span(source, control.start(), control.end())
        message = f"the control character U+{ord(control.group()):04X} can't stand in a source file"
        raise DiagnosticError(Diagnostic("MCT0004", message, span, "remove it"))
    return source
