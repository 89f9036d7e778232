"""Writing a safetensors file a tensor at a time, so that no second copy of all of them is in memory."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mctc.atomic import whole_file
from mctc.ir.op import Array

ALIGNMENT = 8  # of the data, as safetensors' own writer has it
TYPES = {"float32": "F32", "float16": "F16", "int64": "I64", "int8": "I8", "uint8": "U8"}

Kind = tuple[str, tuple[int, ...]]
"""numpy's name of a type, and a shape."""


def write_tensors(
    path: Path, kinds: Mapping[str, Kind], read: Callable[[str], Array], metadata: Mapping[str, str]
) -> None:
    """A file of the tensors that `read` gives by name, each asked for once, in the order of `kinds`.

    The file is written whole or not at all. Raises OSError.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name, (dtype, shape) in kinds.items():
        begin, end = end, end + np.dtype(dtype).itemsize * math.prod(shape)
        header[name] = {"dtype": TYPES[dtype], "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    with whole_file(path) as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, (dtype, _) in kinds.items():
            stored = np.dtype(dtype).newbyteorder("<")
            file.write(np.ascontiguousarray(read(name), stored).reshape(-1).data)


def write_all(path: Path, tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """A file of these tensors, whole or not at all. Raises OSError."""
    write_tensors(path, {name: (each.dtype.name, each.shape) for name, each in tensors.items()},
                  tensors.__getitem__, metadata)  # fmt: skip
