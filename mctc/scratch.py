"""Hidden siblings of a target, written into before they take its place; each is locked by the process that works on it.

The lock (flock) ends with its process however that ends, so a sibling without a lock was left by a process that was
killed, and whoever writes the target next removes it. On a file system without locks nothing is removed.
"""

from __future__ import annotations

import fcntl
import glob
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NEW, OLD = "mctc-new", "mctc-old"
"""How the names of siblings end: what is being written; a folder that was moved out of the way (mctc.atomic)."""

PATIENCE = 10.0
"""Seconds to wait for the lock of a folder."""

_NAME = re.compile(r"(^|/)\.([^/]+)\.[0-9a-f]{8}\.(?:mctc-new|mctc-old)(?=/|$)")


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yields an empty folder beside `target`; in the end what still stands under its name is removed."""
    path, descriptor = _claimed(target, folder=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


@contextmanager
def new_file(target: Path) -> Iterator[tuple[Path, int]]:
    """Yields an empty file beside `target` and its descriptor; in the end what stands under its name is removed."""
    path, descriptor = _claimed(target, folder=False)
    try:
        yield path, descriptor
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        os.close(descriptor)


def left(target: Path, kind: str) -> Iterator[Path]:
    """The siblings of a kind whose process has ended; call it with the folder that they are in `locked`."""
    for path in sorted(target.parent.glob(f".{glob.escape(target.name)}.*.{kind}")):
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield path
            finally:
                os.close(descriptor)


def remove(path: Path) -> None:
    """Removes a file or a folder, as far as that can be done."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the lock of a folder for the moment of a change in it.

    Goes without on a file system that has none, and where another holds it for longer than a change takes: a caller of
    mctc may have locked the folder.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    end = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < end:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.01)
                continue
            except OSError:
                pass
            break
        yield
    finally:
        os.close(descriptor)


def name(target: Path, kind: str) -> Path:
    """A name beside `target` that nothing has yet."""
    return target.with_name(f".{target.name}.{os.urandom(4).hex()}.{kind}")


def public(path: str) -> str:
    """A path with the name of the target in place of that of a sibling."""
    return _NAME.sub(r"\1\2", path)


def _claimed(target: Path, *, folder: bool) -> tuple[Path, int]:
    """A new sibling, and a descriptor that holds its lock. Nobody removes it in between: that takes the folder's."""
    path = name(target, NEW)
    with locked(target.parent):
        if folder:
            path.mkdir()
            descriptor = os.open(path, os.O_RDONLY)
        else:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    return path, descriptor
