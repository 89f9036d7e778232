"""Files that a command writes are none of those that it reads: what took hours to make would be gone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from mctc.diagnostics.errors import UsageError


def check_apart(written: Mapping[str, Path | None], read: Mapping[str, Path | Iterable[Path] | None]) -> None:
    """Files by the names of their options. Raises UsageError for one that is written and read."""
    for option, out in written.items():
        if out is None or not out.is_file():
            continue
        for name, given in read.items():
            files = [given] if isinstance(given, Path) else [] if given is None else given
            if any(isinstance(each, Path) and each.is_file() and each.samefile(out) for each in files):
                raise UsageError(f"{option} {out} is the file that {name} reads", hint=f"another name for {option}")
