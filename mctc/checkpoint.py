"""Reading single tensors of a safetensors file."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np

from mctc.diagnostics.errors import MctcError
from mctc.ir.op import Array


class WeightsError(MctcError):
    """Weights that do not fit the program; the message lists every name at fault."""


PICKLES = (".bin", ".ckpt", ".pkl", ".pt", ".pth", ".tar")  # what torch.save's files are called
PICKLED = (b"PK\x03\x04", *(b"\x80" + bytes([protocol]) for protocol in range(2, 6)))  # how they begin
HEADER = 100_000_000  # bytes; the format's own limit
AXES, LARGEST = 64, 1 << 48  # of a shape: numpy's most axes; more than any file holds


class SafeTensors:
    """Reads single tensors of a safetensors file by position, so that the file is never mapped or held whole.

    Format: 8 bytes little-endian header length, a JSON header, then raw little-endian data (safetensors' own README).
    Raises WeightsError for a file that is none. A tensor of a type that is not read here is an error when it is read.
    """

    TYPES = {
        "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
        "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
    }  # fmt: skip
    BF16 = "BF16"

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            if path.exists() and not path.is_file():
                raise WeightsError(f"{path} is no regular file, so it holds no weights")
            size = path.stat().st_size
            with path.open("rb") as file:
                head = file.read(8)
                if head.startswith(PICKLED) and any(head[4:]):  # a header of so many bytes would be 4 GB long
                    raise self._pickle()
                length = struct.unpack("<Q", head)[0] if len(head) == 8 else size
                if length > min(size - 8, HEADER):
                    raise self._none("its header is longer than the file")
                header = json.loads(file.read(length))
        except OSError as error:
            raise WeightsError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise self._none(str(error)) from error
        if not isinstance(header, dict):
            raise self._none("its header is no table of tensors")
        self.start = 8 + length
        told = header.get("__metadata__")
        self.metadata: Mapping[str, Any] = told if isinstance(told, dict) else {}
        self.entries: dict[str, dict[str, Any]] = {k: v for k, v in header.items() if k != "__metadata__"}
        for name, entry in self.entries.items():
            if wrong := _wrong(entry, size - self.start, self._width(entry)):
                raise self._none(f"tensor {name} {wrong}")
        self.shapes = {name: tuple(entry["shape"]) for name, entry in self.entries.items()}

    def renamed(self, names: Mapping[str, str]) -> SafeTensors:
        """The same file with its tensors under other names; `names` are those of the file by the new ones."""
        other = copy(self)
        other.entries = {name: self.entries[of_file] for name, of_file in names.items()}
        other.shapes = {name: self.shapes[of_file] for name, of_file in names.items()}
        return other

    def read(self, name: str) -> Array:
        """One tensor as float32. Raises WeightsError for a type that is not read here, and OSError."""
        single: Array = self.stored(name).astype(np.float32)
        return single

    def stored(self, name: str) -> Array:
        """One tensor in the type that it is stored in, bfloat16 as float32. Raises WeightsError and OSError."""
        entry = self.entries[name]
        if self._width(entry) is None:
            known = ", ".join((*self.TYPES, self.BF16))
            raise WeightsError(f"{self.path}: tensor {name} has the type {entry['dtype']!r}; read are {known}")
        begin, end = entry["data_offsets"]
        with self.path.open("rb") as file:
            file.seek(self.start + begin)
            data = file.read(end - begin)
        if len(data) != end - begin:
            raise WeightsError(f"{self.path}: tensor {name} ends behind the file, which has become shorter")
        if entry["dtype"] == self.BF16:
            array = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            array = np.frombuffer(data, self.TYPES[entry["dtype"]])
        shaped: Array = array.reshape(entry["shape"])
        return shaped

    def place(self, name: str) -> int | None:
        """The byte that a tensor of float32 begins with; None for one of another type."""
        entry = self.entries[name]
        return self.start + int(entry["data_offsets"][0]) if entry["dtype"] == "F32" else None

    def _pickle(self) -> WeightsError:
        hint = (
            "where it was made: safetensors.torch.save_file(state_dict, 'weights.safetensors') of the model's "
            "state_dict(), or of torch.load(file, weights_only=True), in Lightning's files its entry 'state_dict'"
        )
        return WeightsError(f"{self.path} is a pickle, which can run any code when it is read", hint=hint)

    def _none(self, reason: str) -> WeightsError:
        if self.path.suffix in PICKLES:
            return self._pickle()
        return WeightsError(f"{self.path} is not a safetensors file: {reason}")

    def _width(self, entry: Any) -> int | None:
        """Bytes of a number; None for a type that is not read here."""
        dtype = entry.get("dtype") if isinstance(entry, dict) else None
        if dtype == self.BF16:
            return 2
        return np.dtype(self.TYPES[dtype]).itemsize if isinstance(dtype, str) and dtype in self.TYPES else None


def _wrong(entry: Any, size: int, width: int | None) -> str | None:
    """What is wrong with a tensor's entry in a header; `size`: bytes of data, `width`: bytes of a number, if known."""
    if not isinstance(entry, dict) or not isinstance(entry.get("dtype"), str):
        return "has no type"
    shape: Any = entry.get("shape")
    offsets: Any = entry.get("data_offsets")
    if not _are_counts(shape, LARGEST) or len(shape) > AXES:
        return "has no shape"
    if not _are_counts(offsets, size) or len(offsets) != 2 or offsets[0] > offsets[1]:
        return "lies outside of the file"
    if width is not None and offsets[1] - offsets[0] != width * math.prod(shape):
        return "has the wrong length"
    return None


def _are_counts(values: Any, most: int) -> bool:
    """Whether it is a list of whole numbers from 0 to `most`."""
    return isinstance(values, list) and all(type(value) is int and 0 <= value <= most for value in values)
