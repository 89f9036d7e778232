"""Initialisers: arrays as ONNX tensors, in the model itself or, for big models, in a file beside it."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from onnx import TensorProto

from mctc.ir.op import Array
from mctc.package.bits import pack

KINDS = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "int8": TensorProto.INT8,
    "uint8": TensorProto.UINT8,
    "bool": TensorProto.BOOL,
}
NARROW = {"int4": TensorProto.INT4, "uint4": TensorProto.UINT4}  # two to a byte, the first in the low half
INLINE = 1024  # bytes: smaller tensors stay in the model, where shape inference can see them
ALIGNMENT = 4096  # bytes: the ONNX specification's advice, so that a reader can map a tensor into memory


class TensorFile:
    """The file beside a model that holds its large tensors, written as they come. A context manager."""

    def __init__(self, path: Path) -> None:
        self.path, self._file = path, path.open("wb")

    def __enter__(self) -> TensorFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, data: bytes) -> int:
        """Appends `data`; returns where it begins."""
        self._file.write(bytes(-self._file.tell() % ALIGNMENT))
        offset = self._file.tell()
        self._file.write(data)
        return offset


def tensor(name: str, array: Array, kind: str | None = None, file: TensorFile | None = None) -> Any:
    """`array` as a TensorProto of element type `kind` ('int4', ...; the array's own if left out)."""
    kind = kind or array.dtype.name
    message = TensorProto(name=name, data_type=NARROW.get(kind) or KINDS[kind], dims=array.shape)
    data = pack(array, 4) if kind in NARROW else np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    if file is None or len(data) < INLINE:
        message.raw_data = data
        return message
    message.data_location = TensorProto.EXTERNAL
    told = {"location": file.path.name, "offset": file.add(data), "length": len(data)}
    for key, value in told.items():
        message.external_data.add(key=key, value=str(value))
    return message
