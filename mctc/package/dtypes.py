"""Element types of ML programs: one row each, by MIL's name."""

from __future__ import annotations

from typing import Any

import numpy as np

from mctc.package.errors import UnknownElementType
from mctc.records import dataclass


@dataclass(frozen=True)
class DType:
    """An element type: its number in MIL.proto, its width in storage, and the numpy type that holds it once read.

    `blob_code` is the type's number in the metadata of the weight file (BlobDataType of MIL's storage format), None
    where the file can't hold it. Types narrower than a byte are packed least significant bit first, without gaps.
    """

    name: str
    number: int
    bits: int
    holder: np.dtype[Any]
    blob_code: int | None

    @property
    def signed(self) -> bool:
        """Whether the stored bits are a two's-complement number."""
        return self.holder.kind == "i"

    @property
    def is_float(self) -> bool:
        """Whether values are floating point."""
        return self.holder.kind == "f"


def _row(name: str, number: int, bits: int, holder: type[Any], blob_code: int | None) -> DType:
    return DType(name, number, bits, np.dtype(holder), blob_code)


# Proto numbers: DataType in MIL.proto. Blob codes: read off files written by coremltools' own BlobStorageWriter.
_ROWS = (
    _row("bool", 1, 8, np.bool_, None),
    _row("string", 2, 0, np.object_, None),
    _row("fp16", 10, 16, np.float16, 1),
    _row("fp32", 11, 32, np.float32, 2),
    _row("fp64", 12, 64, np.float64, None),
    _row("int8", 21, 8, np.int8, 4),
    _row("int16", 22, 16, np.int16, 6),
    _row("int32", 23, 32, np.int32, 14),
    _row("int64", 24, 64, np.int64, None),
    _row("int4", 25, 4, np.int8, 8),
    _row("uint8", 31, 8, np.uint8, 3),
    _row("uint16", 32, 16, np.uint16, 7),
    _row("uint32", 33, 32, np.uint32, 15),
    _row("uint64", 34, 64, np.uint64, None),
    _row("uint4", 35, 4, np.uint8, 11),
    _row("uint2", 36, 2, np.uint8, 10),
    _row("uint1", 37, 1, np.uint8, 9),
    _row("uint6", 38, 6, np.uint8, 13),
    _row("uint3", 39, 3, np.uint8, 12),
)


class _Rows(dict[str, DType]):
    def __missing__(self, name: str) -> DType:
        raise UnknownElementType(f"the element type {name} isn't known", hint="a newer mctc may know it")


# Of an element type that isn't here a program can be read; asking for its row is the error.
DTYPES: dict[str, DType] = _Rows((row.name, row) for row in _ROWS)
BY_NUMBER: dict[int, DType] = {row.number: row for row in _ROWS}


def unknown(name: int | str) -> str:
    """The name that records use for an element type without a row: its number, or its name in text, is kept."""
    return f"unknown<{name}>"
