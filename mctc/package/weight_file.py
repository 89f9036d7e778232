"""Writes the weight file of a package: MIL's blob storage, version 2, one tensor at a time (read by mctc.package.blob).

A 64-byte header (number of tensors, version), then for every tensor a 64-byte record (sentinel, type code, bytes,
offset of the data, unused bits in the last byte) and its data, each on a 64-byte boundary.
"""

from __future__ import annotations

import struct
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mctc.package.bits import pack
from mctc.package.dtypes import DTYPES

Buffer = bytes | memoryview
_ALIGNMENT = 64
_SENTINEL = 0xDEADBEEF
_VERSION = 2


class WeightFile:
    """An open weight file. `add` appends a tensor and returns its offset; leaving the context completes the header."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._file: BinaryIO = path.open("wb")
        self._write_header()

    def __enter__(self) -> WeightFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:
            self._file.seek(0)
            self._write_header()
        self._file.close()

    def _write_header(self) -> None:
        self._file.write(struct.pack("<II56x", self.count, _VERSION))

    def add(self, dtype: str, array: NDArray[Any]) -> int:
        """Appends a tensor of MIL type `dtype`; integers narrower than a byte are packed. The offset of its record."""
        row = DTYPES[dtype]
        if row.bits < 8:
            data: Buffer = pack(array, row.bits)
        else:
            data = np.ascontiguousarray(array, row.holder.newbyteorder("<")).reshape(-1).view(np.uint8).data
        size = len(data)
        offset = self._align()
        spare = size * 8 - array.size * row.bits
        self._file.write(struct.pack("<IIQQQ32x", _SENTINEL, row.blob_code, size, offset + _ALIGNMENT, spare))
        self._file.write(data)
        self.count += 1
        return offset

    @staticmethod
    def place(offset: int) -> int:
        """The byte that the data of the record at `offset` begin with."""
        return offset + _ALIGNMENT

    def _align(self) -> int:
        """Moves to the next boundary and returns it."""
        place = self._file.tell()
        self._file.write(b"\0" * (-place % _ALIGNMENT))
        return self._file.tell()
