"""The weight file of a package: MIL's blob storage, version 2, read one tensor at a time.

A file starts with a 64-byte header (blob count, version). A tensor is named by the offset of its 64-byte metadata
record: sentinel 0xDEADBEEF, type code, size in bytes, offset of the data, unused bits in the last byte.
"""

from __future__ import annotations

import os
import stat
import struct
import weakref
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mctc.package.bits import unpack
from mctc.package.dtypes import DTYPES
from mctc.package.errors import PackageError
from mctc.package.types import TensorType

_HEADER = struct.Struct("<II")
_RECORD = struct.Struct("<IIQQQ")
_RECORD_SIZE = 64
_SENTINEL = 0xDEADBEEF
_VERSION = 2


class BlobFile:
    """An open weight file. Bytes are read at their place when asked for; the file is never read as a whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # Non-blocking, so that a pipe in the place of the file can't stall the reader.
            self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise PackageError(f"{path}: can't be opened ({error.strerror})") from error
        weakref.finalize(self, os.close, self._descriptor)
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise PackageError(f"{path}: the weight file isn't a regular file")
        self.size = status.st_size
        version = _HEADER.unpack(self.read(0, _HEADER.size))[1]
        if version != _VERSION:
            raise PackageError(f"{path}: blob storage version {version}, only version {_VERSION} is known")

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset`. Raises PackageError when they reach past the end."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise PackageError(
                f"{self.path}: bytes {offset} to {offset + size} are wanted, the file has {self.size}",
                hint="the weight file is cut short or belongs to another model; write the package again",
            )
        parts, place, left = [], offset, size
        while left:
            part = os.pread(self._descriptor, min(left, 1 << 30), place)
            if not part:
                raise PackageError(f"{self.path}: the file ended at byte {place} while it was being read")
            parts.append(part)
            place, left = place + len(part), left - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def entry(self, offset: int, type_: TensorType) -> BlobTensor:
        """The tensor whose metadata record is at `offset`, checked against the type that the program declares."""
        if type_.shape is None or None in type_.shape:
            raise PackageError(f"{self.path}: the constant at {offset} has no definite shape: {type_}")
        dtype = DTYPES[type_.dtype]
        sentinel, code, size, start, spare = _RECORD.unpack(self.read(offset, _RECORD_SIZE)[: _RECORD.size])
        where = f"{self.path}, record at byte {offset}"
        if sentinel != _SENTINEL:
            raise PackageError(f"{where}: no tensor record here (found {sentinel:#x} where {_SENTINEL:#x} belongs)")
        if dtype.blob_code is None or code != dtype.blob_code:
            found = next((row.name for row in DTYPES.values() if row.blob_code == code), f"code {code}")
            raise PackageError(f"{where}: holds {found}, the program says {type_}")
        bits = prod(n for n in type_.shape if n is not None) * dtype.bits
        if size * 8 - spare != bits or not 0 <= spare < 8:
            raise PackageError(f"{where}: holds {size} bytes ({spare} bits unused), {type_} needs {-(-bits // 8)}")
        if start + size > self.size:
            raise PackageError(f"{where}: its data end at byte {start + size}, the file has {self.size}")
        return BlobTensor(self, type_, start, size)


@dataclass(frozen=True, eq=False)
class BlobTensor:
    """A tensor in a weight file, not read yet."""

    file: BlobFile
    type: TensorType
    start: int
    stored_bytes: int

    def load(self) -> NDArray[Any]:
        """Reads the tensor's bytes and nothing else."""
        return decode(self.file.read(self.start, self.stored_bytes), self.type)


def decode(data: bytes, type_: TensorType) -> NDArray[Any]:
    """Little-endian stored bytes to an array of `type_`. Raises ValueError when their number is wrong."""
    dtype = DTYPES[type_.dtype]
    shape = tuple(n for n in type_.shape or () if n is not None)
    count = prod(shape)
    if len(data) != -(-count * dtype.bits // 8):
        raise ValueError(f"{type_} needs {-(-count * dtype.bits // 8)} bytes, {len(data)} are there")
    if dtype.bits < 8:
        return unpack(data, dtype.bits, count, signed=dtype.signed).reshape(shape)
    little = dtype.holder.newbyteorder("<")
    return np.frombuffer(data, dtype=little).astype(dtype.holder, copy=False).reshape(shape)
