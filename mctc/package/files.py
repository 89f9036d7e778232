"""Files of a model that someone else made: never outside its folder, never more than a limit, never a pipe."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mctc.package.errors import AbsentFile, PackageError
from mctc.package.placeholders import HEAD, in_cache, missing, outside, placeholder

MODEL_LIMIT = (1 << 31) - 1
"""Bytes of a specification: protobuf's own limit for a message."""
_OPEN = "look at its permissions and at the links that lead to it"
_AGAIN = "the model is damaged: download or save it again"


def inside(folder: Path, path: Path) -> Path:
    """`path` with every link resolved. Raises AbsentFile when that lies outside the folder or leads nowhere.

    A link of the Hugging Face cache may end at one of the cache's own blobs.
    """
    try:
        base, real = Path(os.path.realpath(folder)), Path(os.path.realpath(path))
    except (OSError, ValueError) as error:  # names that the file system can't hold
        raise PackageError(f"{folder}: the path {str(path)!r} can't be followed ({error})") from error
    if base != real and base not in real.parents and not in_cache(base, real):
        lexical = Path(os.path.normpath(path))
        if ".." in path.parts and not lexical.is_relative_to(os.path.normpath(folder)):
            raise PackageError(f"{path}: a path that leads outside the package", hint=_AGAIN)
        raise AbsentFile(path, outside(real))
    if os.path.islink(path) and not os.path.lexists(real):  # noqa: PTH114 — Path.is_symlink raises for a long name
        raise AbsentFile(path, missing(path))
    return real


def open_regular(path: Path, name: Path | None = None) -> int:
    """A descriptor of a regular file, opened for reading. name: what messages call it. Raises AbsentFile where its
    content is elsewhere, and PackageError."""
    name = name or path
    try:
        # Non-blocking, so that a pipe in the place of the file can't stall the reader.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise AbsentFile(name, missing(path)) from error
    except (OSError, ValueError) as error:
        raise PackageError(
            f"{name}: can't be opened ({getattr(error, 'strerror', None) or error})", hint=_OPEN
        ) from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise PackageError(f"{name}: not a regular file", hint=_AGAIN)
    stands = placeholder(os.pread(descriptor, HEAD, 0), found.st_size)
    if stands is not None:
        os.close(descriptor)
        raise AbsentFile(name, stands)
    return descriptor


@contextmanager
def opened(path: Path, limit: int = MODEL_LIMIT) -> Iterator[tuple[Callable[[int, int], bytes], int]]:
    """A regular file of at most `limit` bytes: what reads from an offset so many of them, and its size.

    Raises PackageError, also where the file ends before bytes that are asked for.
    """
    descriptor = open_regular(path)
    with os.fdopen(descriptor, "rb") as file:
        size = os.fstat(descriptor).st_size
        if size > limit:
            raise PackageError(f"{path}: {size} bytes, more than the {limit} that are read")

        def read(offset: int, count: int) -> bytes:
            file.seek(offset)
            found = file.read(count)
            if len(found) < count:
                raise PackageError(f"{path}: the file ended at byte {offset + len(found)} while it was being read")
            return found

        yield read, size


def read_file(path: Path, limit: int = MODEL_LIMIT) -> bytes:
    """The whole of a regular file of at most `limit` bytes. Raises PackageError."""
    descriptor = open_regular(path)
    with os.fdopen(descriptor, "rb") as file:
        size = os.fstat(descriptor).st_size
        if size > limit:
            raise PackageError(f"{path}: {size} bytes, more than the {limit} that are read")
        return file.read(size)  # of the limit, the buffer alone would be 2 GB
