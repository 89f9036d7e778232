"""Values of parameters for an evaluation that asks for them in every call."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from mctc.evaluate.reference import ParameterValue
from mctc.ir.op import Array
from mctc.ir.program import Program
from mctc.weights import unpacked

if TYPE_CHECKING:
    from mctc.quantize import Quantized

KEPT = 16_000_000  # parameters up to which their values are held in float64: 128 MB
PACKED = 1 << 27  # bytes of a larger model's parameters that are held as artifacts store them


def is_small(program: Program) -> bool:
    """Whether the values of a program's parameters are few enough to be held."""
    return sum(type_.size for type_, _ in program.sources.values()) <= KEPT


def kept(program: Program, value: ParameterValue) -> ParameterValue:
    """The values of a small model, each computed once; those of a large one are computed when they are asked for."""
    return cache(lambda name: np.asarray(value(name), np.float64)) if is_small(program) else value


def packed(stored: Callable[[str], Array | Quantized]) -> ParameterValue:
    """Values in float32 of what artifacts store. It is held as stored while there is room for it, and unpacked when it
    is asked for: drawing and quantising a tensor costs several times as much."""
    held: dict[str, Array | Quantized] = {}
    room = PACKED

    def value(name: str) -> Array:
        nonlocal room
        found = held.get(name)
        if found is None:
            found = stored(name)
            size = (found if isinstance(found, np.ndarray) else found.codes).nbytes
            if size <= room:
                held[name], room = found, room - size
        return unpacked(found)

    return value
