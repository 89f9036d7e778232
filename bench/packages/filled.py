"""A copy of a package with noise in place of the weight files that aren't there, so that its program can be run.

python -m bench.packages.filled PACKAGE COPY
"""

from __future__ import annotations

import os
import shutil
import struct
import sys
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from bench.packages.execute import programs
from bench.packages.inputs import SEED
from mctc.package import Block, Constant, Package, TensorType
from mctc.package.bits import pack
from mctc.package.dtypes import DTYPES
from mctc.package.weights import AbsentTensor

RECORD = 64
HEAD = struct.pack("<II", 1, 2)
"""Of a weight file: a count that no reader needs, and the version."""


def fill(path: Path, copy: Path) -> None:
    """Writes the copy. Links are followed, and what is no regular file is left out."""
    path = path.resolve()
    if path.is_dir():
        shutil.copytree(path, copy, ignore_dangling_symlinks=True)
    else:
        shutil.copy(path, copy)
    rng = np.random.default_rng(SEED)
    for package in programs(path):
        for tensor in absent(package):
            outer = path if path.is_dir() else path.parent
            inner = copy if path.is_dir() else copy.parent
            file = inner / Path(os.path.relpath(tensor.file.path, outer))
            write(file, tensor, rng)


def absent(package: Package) -> Iterator[AbsentTensor]:
    for function in package.functions.values():
        yield from _in_block(function.body)


def _in_block(block: Block) -> Iterator[AbsentTensor]:
    for operation in block.operations:
        bound = [each for bindings in operation.inputs.values() for each in bindings]
        for each in (*operation.attributes.values(), *bound):
            if isinstance(each, Constant) and isinstance(each.loader, AbsentTensor):
                yield each.loader
        for inner in operation.blocks:
            yield from _in_block(inner)


def write(file: Path, tensor: AbsentTensor, rng: np.random.Generator) -> None:
    """A tensor's record and its data right behind it, as coremltools' writer lays them out."""
    row = DTYPES[tensor.type.dtype]
    data = content(tensor.type, rng)
    unused = len(data) * 8 - prod(n or 0 for n in tensor.type.shape or ()) * row.bits
    head = struct.pack("<IIQQQ", 0xDEADBEEF, row.blob_code or 0, len(data), tensor.start + RECORD, unused)
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists() or not file.read_bytes().startswith(HEAD):  # what stood in its place goes
        file.write_bytes(HEAD.ljust(RECORD, b"\0"))
    with file.open("r+b") as stream:
        stream.seek(tensor.start)
        stream.write(head.ljust(RECORD, b"\0") + data)


def content(type_: TensorType, rng: np.random.Generator) -> bytes:
    """Noise that keeps signals in their range: matrices by their fan-in, vectors around one, indices zero."""
    row, shape = DTYPES[type_.dtype], [n or 0 for n in type_.shape or ()]
    values: Any
    if row.is_float:
        wide = len(shape) > 1 and np.prod(shape[1:]) > 1
        spread = np.prod(shape[1:]) ** -0.5 if wide else 0.0
        values = rng.standard_normal(shape) * spread if wide else rng.uniform(0.5, 1.5, shape)
    elif row.bits >= 16:
        values = np.zeros(shape)
    else:
        low = -(1 << row.bits - 1) if row.signed else 0
        values = rng.integers(low, low + (1 << row.bits), shape)
    return pack(values.ravel(), row.bits) if row.bits < 8 else values.astype(row.holder).tobytes()


def main(arguments: list[str]) -> None:
    fill(Path(arguments[0]), Path(arguments[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
