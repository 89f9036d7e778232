"""The weight file of a package: MIL's blob storage, version 2, read one tensor at a time.

A file starts with a 64-byte header (blob count, version). A tensor is named by the offset of its 64-byte metadata
record: sentinel 0xDEADBEEF, type code, size in bytes, offset of the data, unused bits in the last byte. The last counts
only for elements narrower than a byte: writers before iOS 18 left whatever was in memory there, and in all that
follows (StorageFormat.hpp of coremltools' MILBlob).
"""

from __future__ import annotations

import os
import struct
import weakref
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mctc.package.bits import unpack
from mctc.package.dtypes import DTYPES
from mctc.package.errors import AbsentFile, PackageError
from mctc.package.files import open_regular
from mctc.package.placeholders import HEAD, other_content
from mctc.package.types import TensorType
from mctc.records import dataclass

_HEADER = struct.Struct("<II")
_RECORD = struct.Struct("<IIQQQ")
_RECORD_SIZE = 64
_SENTINEL = 0xDEADBEEF
_VERSION = 2
_CUT = "the weight file is cut short or belongs to another model; write the package again"


class BlobFile:
    """An open weight file. Bytes are read at their place when asked for; the file is never read as a whole.

    `path` has no links in it, `name` is what messages call it.
    """

    def __init__(self, path: Path, name: Path | None = None) -> None:
        self.path, self.name = path, name or path
        self._descriptor = open_regular(path, self.name)
        weakref.finalize(self, os.close, self._descriptor)
        self.size = os.fstat(self._descriptor).st_size
        version = _HEADER.unpack(self.read(0, _HEADER.size))[1]
        if version != _VERSION:
            found = other_content(self.read(0, min(self.size, HEAD)))
            if found is not None:
                raise AbsentFile(self.name, found)
            raise PackageError(
                f"{self.name}: no weights of an ML program (storage version {version}, only {_VERSION} is one)",
                hint=_CUT,
            )

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset`. Raises PackageError when they reach past the end."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise PackageError(
                f"{self.name}: bytes {offset} to {offset + size} are wanted, the file has {self.size}",
                hint=_CUT,
            )
        parts, place, left = [], offset, size
        while left:
            part = os.pread(self._descriptor, min(left, 1 << 30), place)
            if not part:
                raise PackageError(f"{self.name}: the file ended at byte {place} while it was being read")
            parts.append(part)
            place, left = place + len(part), left - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def entry(self, offset: int, type_: TensorType) -> BlobTensor:
        """The tensor whose metadata record is at `offset`, checked against the type that the program declares."""
        if type_.shape is None or None in type_.shape:
            raise PackageError(f"{self.name}: the constant at {offset} has no definite shape: {type_}")
        sentinel, code, size, start, spare = _RECORD.unpack(self.read(offset, _RECORD_SIZE)[: _RECORD.size])
        if sentinel != _SENTINEL:
            wanted = f"found {sentinel:#x} where {_SENTINEL:#x} belongs"
            raise PackageError(f"{self._record(offset)}: no tensor record here ({wanted})", hint=_CUT)
        if type_.dtype in DTYPES:  # of another type nothing is known that could be compared
            self._check(offset, type_, code, size, spare)
        if start + size > self.size:
            raise PackageError(
                f"{self._record(offset)}: its data end at byte {start + size}, the file has {self.size}",
                hint=_CUT,
            )
        return BlobTensor(self, type_, start, size)

    def _record(self, offset: int) -> str:
        return f"{self.name}, record at byte {offset}"

    def _check(self, offset: int, type_: TensorType, code: int, size: int, unused: int) -> None:
        dtype = DTYPES[type_.dtype]
        if dtype.blob_code is None or code != dtype.blob_code:
            holds = next((row.name for row in DTYPES.values() if row.blob_code == code), f"code {code}")
            raise PackageError(f"{self._record(offset)}: holds {holds}, the program says {type_}", hint=_CUT)
        bits = prod(n for n in type_.shape or () if n is not None) * dtype.bits
        wanted = -(-bits // 8)
        if size != wanted or any(n is not None and n < 0 for n in type_.shape or ()):
            raise PackageError(f"{self._record(offset)}: holds {size} bytes, {type_} needs {wanted}", hint=_CUT)
        if dtype.bits < 8 and unused != wanted * 8 - bits:
            raise PackageError(
                f"{self._record(offset)}: leaves {unused} bits of its last byte unused, {type_} needs "
                f"{wanted * 8 - bits} unused",
                hint=_CUT,
            )


@dataclass(frozen=True, eq=False)
class BlobTensor:
    """A tensor in a weight file, not read yet."""

    file: BlobFile
    type: TensorType
    start: int
    stored_bytes: int

    @property
    def place(self) -> tuple[Path, int, int]:
        """The file, and the bytes from one to before another."""
        return self.file.path, self.start, self.start + self.stored_bytes

    def load(self) -> NDArray[Any]:
        """Reads the tensor's bytes and nothing else. Raises PackageError when they can't be made an array."""
        if self.type.dtype not in DTYPES:
            raise PackageError(f"{self.file.name}: values of {self.type} can't be read, its element type isn't known")
        try:
            return decode(self.file.read(self.start, self.stored_bytes), self.type)
        except (ValueError, OverflowError) as error:
            raise PackageError(f"{self.file.name}: {self.type} can't be read ({error})") from error


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
