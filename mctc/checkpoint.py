"""Reading single tensors of a safetensors file."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mctc.diagnostics.errors import MctcError
from mctc.ir.op import Array


class WeightsError(MctcError):
    """Weights that do not fit the program; the message lists every name at fault."""


class SafeTensors:
    """Reads single tensors of a safetensors file by position, so that the file is never mapped or held whole.

    Format: 8 bytes little-endian header length, a JSON header, then raw little-endian data (safetensors' own README).
    """

    TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1", "I8": "|i1"}

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                head = file.read(8)
                length = struct.unpack("<Q", head)[0] if len(head) == 8 else size
                if length > min(size - 8, 100_000_000):
                    raise WeightsError(f"{path} is not a safetensors file: its header is longer than the file")
                header = json.loads(file.read(length))
                self._check(header, size - 8 - length)
        except OSError as error:
            raise WeightsError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise WeightsError(f"{path} is not a safetensors file: {error}") from error
        self.start = 8 + length
        self.entries: dict[str, dict[str, Any]] = {k: v for k, v in header.items() if k != "__metadata__"}
        self.shapes = {name: tuple(entry["shape"]) for name, entry in self.entries.items()}

    def _check(self, header: Mapping[str, Any], size: int) -> None:
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            begin, end = entry["data_offsets"]
            width = 2 if entry["dtype"] == "BF16" else np.dtype(self.TYPES[entry["dtype"]]).itemsize
            if not 0 <= begin <= end <= size or end - begin != width * math.prod(entry["shape"]):
                raise WeightsError(f"{self.path}: tensor {name} lies outside the file or has the wrong length")

    def read(self, name: str) -> Array:
        """One tensor as float32."""
        entry = self.entries[name]
        begin, end = entry["data_offsets"]
        with self.path.open("rb") as file:
            file.seek(self.start + begin)
            data = file.read(end - begin)
        if entry["dtype"] == "BF16":
            array = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            array = np.frombuffer(data, self.TYPES[entry["dtype"]]).astype(np.float32)
        shaped: Array = array.reshape(entry["shape"])
        return shaped
