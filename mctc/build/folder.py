"""The folder of a build: replaced whole or not at all, and only where a build wrote it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mctc import atomic
from mctc.build.options import BuildError

MANIFEST = "manifest.json"


@contextmanager
def replaced(target: Path, *, force: bool = False) -> Iterator[Path]:
    """Yields an empty folder to write into; it is put at `target` when the context ends well, else nothing changes.

    Raises BuildError when `target` is something that no build wrote, unless `force` is set.
    """
    target = Path(os.path.realpath(target))
    check_replaceable(target, force=force)
    with atomic.replaced(target) as fresh:
        yield fresh


def check_replaceable(target: Path, *, force: bool = False) -> None:
    """Raises BuildError when something stands at `target` that mctc did not write."""
    if not os.path.lexists(target):
        return
    if not target.is_dir():
        raise BuildError(f"{target} is a file; a build writes a folder", hint="choose another place with -o")
    if not force and not (target / MANIFEST).is_file() and any(target.iterdir()):
        raise BuildError(
            f"{target} has no {MANIFEST}: it was not written by mctc and is not replaced",
            hint="choose another place with -o, or pass --force to replace it",
        )
