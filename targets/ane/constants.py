"""Parameters and constants on their way into a package: each stored once, in the form that the package holds."""

from __future__ import annotations

import hashlib
from functools import partial
from math import prod

import numpy as np

from mctc.emit.stored import INLINE, held, stored
from mctc.ir.op import Array
from mctc.ir.program import Parameter
from mctc.package.bits import unpack
from mctc.package.dtypes import DTYPES
from mctc.package.weight_file import WeightFile
from mctc.quantize import Palette, Quantized
from mctc.records import dataclass
from mctc.spool import Lies
from mctc.targets.ane.errors import EmitError
from mctc.weights import Weights


@dataclass(frozen=True)
class Blob:
    """A tensor of the weight file."""

    dtype: str
    shape: tuple[int, ...]
    offset: int


@dataclass(frozen=True, eq=False)
class Plain:
    """A const operation's value: in the weight file, or a small array."""

    value: Blob | Array

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def dtype(self) -> str:
        """'fp16', 'fp32', 'int32' and so on."""
        if isinstance(self.value, Blob):
            return self.value.dtype
        kind = self.value.dtype
        return f"fp{8 * kind.itemsize}" if kind.kind == "f" else str(kind.name)


@dataclass(frozen=True)
class Compressed:
    """A constexpr operation: its kind and its operands in the weight file, by name."""

    kind: str
    shape: tuple[int, ...]
    operands: tuple[tuple[str, Blob], ...]


Stored = Plain | Compressed


class Store:
    """Puts parameters and constants into one weight file, each once. Holds no tensor longer than a call."""

    def __init__(self, weights: Weights, file: WeightFile) -> None:
        self.weights, self.file = weights, file
        self._parameters: dict[str, Stored] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Plain] = {}

    def parameter(self, parameter: Parameter) -> Stored:
        """The stored form of a parameter; functions that share it share the tensor. Raises EmitError."""
        if parameter.name not in self._parameters:
            found = stored(self.weights, parameter, EmitError, keeps=False)
            kept = self._plain(found) if isinstance(found, np.ndarray) else self._compressed(found)
            self._parameters[parameter.name] = kept
            self.weights.keep(parameter, found, self._lies(kept))
        return self._parameters[parameter.name]

    def constant(self, array: Array, what: str, wide: bool = False) -> Plain:
        """The stored form of a float (fp16, or fp32 where `wide`), int or bool array; equal arrays share one tensor.
        Raises UnsupportedError."""
        array = held(array, np.float32 if wide else np.float16, what) if array.dtype.kind == "f" else array
        array = array.astype(np.int32) if array.dtype.kind in "iu" else array
        if array.size < INLINE or array.dtype.kind != "f":
            return Plain(array)
        data = hashlib.sha256(np.ascontiguousarray(array).data).digest()
        key = (array.dtype.name, array.shape, data)
        if key not in self._constants:
            self._constants[key] = self._plain(array)
        return self._constants[key]

    def _lies(self, kept: Stored) -> Lies | None:
        """Where the numbers or codes lie that were just written; None of what is small."""
        blob = kept.operands[0][1] if isinstance(kept, Compressed) else kept.value
        if not isinstance(blob, Blob):
            return None
        row, count = DTYPES[blob.dtype], prod(blob.shape)
        packed = partial(unpack, bits=row.bits, count=count, signed=row.signed) if row.bits < 8 else None
        return Lies(self.file.path, self.file.place(blob.offset), -(-count * row.bits // 8), packed)

    def _plain(self, array: Array) -> Plain:
        dtype = "fp32" if array.dtype == np.float32 else "fp16"
        return Plain(array if array.size < INLINE else self._blob(dtype, array))

    def _blob(self, dtype: str, array: Array) -> Blob:
        return Blob(dtype, array.shape, self.file.add(dtype, array))

    def _compressed(self, quantized: Quantized) -> Compressed:
        shape = quantized.codes.shape
        if isinstance(quantized, Palette):
            groups = [quantized.table.shape[0] if i == quantized.axis else 1 for i in range(len(shape))]
            table = quantized.table.reshape(*groups, quantized.table.shape[1], 1)
            operands = (
                ("indices", self._blob(f"uint{quantized.bits}", quantized.codes)),
                ("lut", self._blob("fp16", table)),
            )
            return Compressed("constexpr_lut_to_dense", shape, operands)
        operands = (
            ("data", self._blob(f"int{quantized.bits}", quantized.codes)),
            ("scale", self._blob("fp16", quantized.scale)),
        )
        return Compressed("constexpr_blockwise_shift_scale", shape, operands)
