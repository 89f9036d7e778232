"""Writing a folder, or a file, whole or not at all. Everything that mctc writes for a user goes through here.

A folder is written into a hidden sibling of the target (mctc.scratch), flushed to the disk, and put in place in one
step: a rename where nothing was there, an exchange of the two names where there was (renameat2 on Linux, renamex_np on
macOS). A process that is killed at any moment leaves the old folder or the new one, and perhaps a hidden sibling that
the next build removes.

A file system without the exchange gets two renames: a kill between them leaves the old folder under its hidden name,
and the next build (or `recover`) puts it back.

A file is written likewise and renamed over a regular file, or to where nothing is. What is neither (a device, a FIFO,
/dev/stdout) is opened and written through. A symbolic link stays: the file or folder that it leads to is replaced.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from mctc import scratch

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # linux/fs.h; macOS calls the same RENAME_SWAP
_DESCRIPTORS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}

Keep = Callable[[Path, Path], None]
"""Takes the folder that is replaced and the one that replaces it, and brings over what the first alone holds. Called
just before the exchange, where raising leaves everything as it was, and again just after it for what came between."""


@contextmanager
def replaced(target: Path, keep: Keep | None = None) -> Iterator[Path]:
    """Yields an empty folder to write into; it is put at `target` when the context ends well, else nothing changes.

    Raises OSError, with the path in `target` that could not be written.
    """
    target = Path(os.path.realpath(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    recover(target)
    with _told(target), scratch.new_folder(target) as fresh:
        yield fresh
        flush(fresh)
        with scratch.locked(target.parent):
            _put(fresh, target, keep)


def recover(target: Path) -> None:
    """Cleans up after writers of `target` that were killed; puts an old folder back that a kill left hidden."""
    with scratch.locked(target.parent):
        for old in scratch.left(target, scratch.OLD):
            if os.path.lexists(target):
                scratch.remove(old)
            else:
                old.rename(target)
        for new in scratch.left(target, scratch.NEW):
            scratch.remove(new)


def flush(folder: Path) -> None:
    """Forces every file and folder below `folder` to the disk."""
    for place, _, files in os.walk(folder, topdown=False):
        for name in files:
            _sync(Path(place) / name)
        _sync(Path(place))


def _put(fresh: Path, target: Path, keep: Keep | None) -> None:
    """Puts `fresh` at `target`; the folder that was there comes to stand at `fresh`."""
    if not os.path.lexists(target):
        fresh.rename(target)
    else:
        if keep:
            keep(target, fresh)
        if not exchange(fresh, target):
            old = scratch.name(target, scratch.OLD)
            target.rename(old)
            fresh.rename(target)
            old.rename(fresh)
        if keep:
            keep(fresh, target)
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


def write_text(path: Path, text: str) -> None:
    """Writes a file as `whole_file` does. Raises OSError and leaves the old one."""
    with whole_file(path) as file:
        file.write(text.encode())


class _AbandonedError(Exception):
    """Nothing is to be put in place."""


def check_place(path: Path) -> None:
    """Raises OSError where a file could not be written now, and changes nothing: for what is computed long before."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        return  # opening a pipe would wait for its reader
    with suppress(_AbandonedError), whole_file(path):
        raise _AbandonedError


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Yields a file to write into; it is put at `path` when the context ends well, else nothing changes.

    A file that is there keeps its mode and, where that is permitted, its owner; one that may not be written is left.
    A device, a FIFO or a descriptor (/dev/stdout) is written through. Raises OSError, with the path in it.
    """
    with _told(path):
        opened = _written_through(path)
        if opened is not None:
            with opened:
                yield opened
            return
        target = Path(os.path.realpath(path))
        present = _present(target)
        recover(target)
        with scratch.new_file(target) as (fresh, descriptor):
            with os.fdopen(os.dup(descriptor), "wb") as file:
                yield file
                file.flush()
                os.fsync(descriptor)
            if present is not None:
                with suppress(PermissionError):
                    os.fchown(descriptor, present.st_uid, present.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(present.st_mode))
            fresh.replace(target)


def _written_through(path: Path) -> BinaryIO | None:
    """`path` opened for writing, where it is a descriptor of this process or no regular file; None elsewhere."""
    number = _descriptor(path)
    if number is not None:
        sys.stdout.flush()  # what was printed before comes first
        return os.fdopen(os.dup(number), "wb")
    with suppress(FileNotFoundError):
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            return path.open("wb")
    return None


def _descriptor(path: Path) -> int | None:
    """N of /dev/fd/N and its like, which can't be told from the file or pipe behind it once the links are followed."""
    text = os.path.abspath(path)  # noqa: PTH100 — links are not followed
    for _ in range(40):  # the most links that Linux follows
        numbered = re.fullmatch(rf"/dev/fd/(\d+)|/proc/(?:self|{os.getpid()})/fd/(\d+)", text)
        if numbered:
            return int(numbered[1] or numbered[2])
        if text in _DESCRIPTORS:
            return _DESCRIPTORS[text]
        if not os.path.islink(text):  # noqa: PTH114
            return None
        text = os.path.normpath(os.path.join(os.path.dirname(text), os.readlink(text)))  # noqa: PTH115, PTH118, PTH120
    return None


def _present(target: Path) -> os.stat_result | None:
    """The file at `target`, which this process may write; None where there is none. Raises OSError."""
    try:
        descriptor = os.open(target, os.O_WRONLY)
    except FileNotFoundError:
        return None
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _told(target: Path) -> Iterator[None]:
    """Gives errors of the system the path that the user knows, in place of a hidden one or of none."""
    try:
        yield
    except OSError as error:
        named = str(target) if error.filename is None else scratch.public(os.fsdecode(error.filename))
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), named) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
