"""Writing a folder, or a file, whole or not at all.

Everything is written into a sibling of the target, flushed to the disk, and put in place in one step: a rename where
nothing was there, an exchange of the two names where there was (renameat2 on Linux, renamex_np on macOS). A process
that is killed at any moment leaves the old folder or the new one, and perhaps a hidden sibling that the next build
removes.

A file system without the exchange gets two renames: a kill between them leaves the old folder under its hidden name,
and the next build (or `recover`) puts it back.
"""

from __future__ import annotations

import ctypes
import glob
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_NEW, _OLD = "mctc-new", "mctc-old"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # linux/fs.h; macOS calls the same RENAME_SWAP


@contextmanager
def replaced(target: Path) -> Iterator[Path]:
    """Yields an empty folder to write into; it is put at `target` when the context ends well, else nothing changes."""
    target = Path(os.path.realpath(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    recover(target)
    fresh = _sibling(target, _NEW)
    fresh.mkdir()
    try:
        yield fresh
        flush(fresh)
        _put(fresh, target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def recover(target: Path) -> None:
    """Cleans up after builds of `target` that were killed; puts an old folder back that a kill left hidden."""
    for kind in (_OLD, _NEW):
        for left in sorted(target.parent.glob(f".{glob.escape(target.name)}.*.{kind}")):
            if _alive(left):
                continue
            if kind == _OLD and not target.exists():
                left.rename(target)
            else:
                shutil.rmtree(left, ignore_errors=True)


def flush(folder: Path) -> None:
    """Forces every file and folder below `folder` to the disk."""
    for place, _, files in os.walk(folder, topdown=False):
        for name in files:
            _sync(Path(place) / name)
        _sync(Path(place))


def _put(fresh: Path, target: Path) -> None:
    if not target.exists():
        fresh.rename(target)
    elif not exchange(fresh, target):
        old = _sibling(target, _OLD)
        target.rename(old)
        fresh.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    _sync(target.parent)


def exchange(one: Path, other: Path) -> bool:
    """Swaps two folders in one step. False where the system or the file system can't."""
    paths = os.fsencode(one), os.fsencode(other)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            return bool(library.renamex_np(*paths, _RENAME_EXCHANGE) == 0)
        return bool(library.renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0)
    except (OSError, AttributeError):
        return False


def _sibling(target: Path, kind: str) -> Path:
    """A hidden name beside `target` that tells which process made it."""
    return target.with_name(f".{target.name}.{os.getpid()}.{kind}")


def _alive(left: Path) -> bool:
    """Whether the process that made a hidden sibling still runs (a build of its own is at work there)."""
    owner = left.name.split(".")[-2]
    if not owner.isdigit() or int(owner) == os.getpid():
        return False
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all; one that is there keeps its mode. Raises OSError and leaves the old one."""
    with whole_file(path) as file:
        file.write(text.encode())


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Yields a file to write into; it is put at `path` when the context ends well, else nothing changes.

    A file that is there keeps its mode. Raises OSError.
    """
    target = Path(os.path.realpath(path))
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f"{target.name}.", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
        Path(name).chmod(mode)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
