"""Checkpoints whose tensors are codes and scales, as a package stores them: a third of the size, the same package.

A safetensors file. A tensor NAME of codes is int8 in its own shape, or two codes of 4 bits a byte (uint8, the first one
in the low half, rows of the first axis filled up to whole bytes); NAME.scale has an fp16 scale for each entry of the
first axis. The metadata entry `mctc.coded` is a JSON table of {name: {"bits": 4 or 8, "shape": [...]}}. Other tensors
are as in any file: in fp16 what a package stores so, in fp32 what it computes with first.

A value is code times scale, exact in float32. Quantising it again by the same rule finds the same scale and codes,
since the largest code of each row is 127 or 7. So a build with such a file is the build with the one that it was made
from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np

from mctc.checkpoint import SafeTensors, WeightsError
from mctc.ir.op import Array
from mctc.ir.program import Derived, Program, Quantization, Recipe, Source
from mctc.quantize import LEVELS, Scaled, quantize

TABLE, SCALE = "mctc.coded", ".scale"
ROWS_STAY = ("reshape", "pad")  # ops of recipes that leave a tensor's rows rows
NUMBERS_STAY = (
    *ROWS_STAY,
    "transpose",
    "slice",
    "split",
    "concat",
    "reverse",
)  # and those that leave numbers as they are


class CodedTensors(SafeTensors):
    """Single tensors of such a file, as float32. Raises WeightsError for one whose table or codes don't fit."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            table = json.loads(self.metadata.get(TABLE, "{}"))
            self.coded = {str(name): (int(row["bits"]), tuple(map(int, row["shape"]))) for name, row in table.items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise WeightsError(f"{path}: its table of codes is damaged: {error}") from error
        for name, (bits, shape) in self.coded.items():
            if wrong := self._misfit(name, bits, shape):
                raise WeightsError(f"{path}: tensor {name}: {wrong}")
            self.shapes[name] = shape
        for name in self.coded:
            del self.shapes[name + SCALE]

    def renamed(self, names: Mapping[str, str]) -> CodedTensors:
        """As of any file; the scales go with their codes."""
        other = copy(self)
        other.coded = {new: self.coded[old] for new, old in names.items() if old in self.coded}
        scales = {new + SCALE: names[new] + SCALE for new in other.coded}
        other.entries = {new: self.entries[old] for new, old in {**names, **scales}.items()}
        other.shapes = {new: self.shapes[old] for new, old in names.items()}
        return other

    def read(self, name: str) -> Array:
        """One tensor as float32: codes times scales. Raises WeightsError and OSError."""
        if name not in self.coded:
            return super().read(name)
        bits, shape = self.coded[name]
        codes, scale = super().read(name), super().read(name + SCALE)
        rows = (_unpacked(codes) if bits == 4 else codes).reshape(shape[0], -1)
        return np.asarray((rows[:, : int(np.prod(shape[1:]))] * scale[:, None]).reshape(shape), np.float32)

    def _misfit(self, name: str, bits: int, shape: tuple[int, ...]) -> str | None:
        if bits not in (4, 8) or not shape or min(shape) < 1:
            return f"codes of {bits} bits and shape {list(shape)} are none"
        row = int(np.prod(shape[1:]))
        wanted, dtype = ((shape[0], (row + 1) // 2), "U8") if bits == 4 else (shape, "I8")
        if self.shapes.get(name) != wanted or self.entries[name]["dtype"] != dtype:
            return f"its codes are not {dtype} {list(wanted)}"
        if self.shapes.get(name + SCALE) != (shape[0],):
            return f"it has no scale for each of {shape[0]} rows"
        return None


def opened(path: Path) -> SafeTensors:
    """A safetensors file, of codes or not. Raises WeightsError."""
    tensors = SafeTensors(path)
    return CodedTensors(path) if TABLE in tensors.metadata else tensors


def write_coded(program: Program, checkpoint: Path, out: Path, metadata: Mapping[str, str]) -> None:
    """Writes a checkpoint of a deployed program with the codes of its quantised parameters.

    A tensor becomes codes where one parameter alone is made of it, by ops that leave its rows rows. What is computed
    with before it is stored, or quantised along another axis, stays in fp32, the rest is in fp16. Raises WeightsError.
    """
    from safetensors.numpy import save_file

    source, chosen, wide = opened(checkpoint), coded_sources(program), _computed_with(program)
    tensors: dict[str, Array] = {}
    table: dict[str, Any] = {}
    for name in sorted(source.shapes):
        value = source.read(name)
        how = chosen.get(name)
        if how is None:
            tensors[name] = value.astype(np.float32 if name in wide else np.float16)
            continue
        stored = quantize(value, how)
        assert isinstance(stored, Scaled)
        rows = stored.codes.reshape(len(value), -1)
        tensors[name] = _packed(rows) if how.bits == 4 else stored.codes
        tensors[name + SCALE] = stored.scale.reshape(-1)
        table[name] = {"bits": how.bits, "shape": list(value.shape)}
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, out, {**metadata, TABLE: json.dumps(table)})


def coded_sources(program: Program) -> dict[str, Quantization]:
    """How the checkpoint's tensors are quantised, of those whose rows are rows of one quantised parameter."""
    found: dict[str, Quantization] = {}
    for parameter in program.parameters.values():
        how, name = parameter.quantization, _embedding_table(parameter.recipe)
        if name is not None and how is not None and how.scheme in LEVELS and not how.axis:
            found[name] = how
    used = [name for parameter in program.parameters.values() for name in set(_names(parameter.recipe))]
    return {name: how for name, how in found.items() if used.count(name) == 1}


def _computed_with(program: Program) -> set[str]:
    """The checkpoint's tensors whose numbers are not, as they are, what some parameter stores in fp16."""
    found: set[str] = set()
    for parameter in program.parameters.values():
        if parameter.quantization is not None or parameter.wide or not _only_moved(parameter.recipe):
            found.update(_names(parameter.recipe))
    return found


def _only_moved(recipe: Recipe) -> bool:
    if isinstance(recipe, Source):
        return True
    return recipe.op in NUMBERS_STAY and all(_only_moved(each) for each in recipe.operands if each is not None)


def _embedding_table(recipe: Recipe) -> str | None:
    while isinstance(recipe, Derived):
        operands = [each for each in recipe.operands if each is not None]
        if recipe.op not in ROWS_STAY or len(operands) != 1:
            return None
        if recipe.op == "reshape" and recipe.type.shape[0] != operands[0].type.shape[0]:
            return None
        (recipe,) = operands
    return recipe.name


def _names(recipe: Recipe) -> Iterable[str]:
    if isinstance(recipe, Source):
        yield recipe.name
        return
    for operand in recipe.operands:
        if operand is not None:
            yield from _names(operand)


def _packed(rows: Array) -> Array:
    """Codes [rows, n] of 4 bits as bytes [rows, (n + 1) / 2]."""
    even = np.pad(rows, ((0, 0), (0, rows.shape[1] % 2))).astype(np.uint8) & 15
    return np.asarray(even[:, 0::2] | even[:, 1::2] << 4, np.uint8)


def _unpacked(packed: Array) -> Array:
    """Codes [rows, n] of bytes [rows, n / 2]."""
    pairs = np.stack([packed.astype(np.uint8) & 15, packed.astype(np.uint8) >> 4], axis=-1).reshape(len(packed), -1)
    return np.asarray((pairs.astype(np.int8) ^ 8) - np.int8(8))
