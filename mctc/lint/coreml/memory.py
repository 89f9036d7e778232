"""What tensors take in memory on the Neural Engine: the last axis of each is padded to 64 bytes.

Source: Apple's neural_engine_rules.md ("Tensor memory alignment"): inputs and outputs have a contiguous last axis,
aligned to 64 bytes, so one of size 1 takes 32 times its size in fp16. Intermediates may tolerate less, so their figure
is an upper bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from mctc.lint.coreml.graph import LARGEST, FunctionGraph, as_tensor, size_of, tensor_bytes
from mctc.package import TensorType, ValueType
from mctc.package.dtypes import DTYPES

ALIGNMENT = 64
SHOWN = 8


@dataclass(frozen=True)
class Held:
    """A tensor. `kind`: input, output, state or intermediate; bytes as packed, and with the last axis padded."""

    name: str
    kind: str
    type: str
    bytes: int
    padded: int


@dataclass(frozen=True)
class Memory:
    """A function's tensors without weights: totals, the most that is alive at once (padded), and the most padded ones.

    interface: inputs, outputs and states, all of them. wasteful: up to SHOWN tensors by what padding adds to them.
    """

    bytes: int
    padded: int
    peak: int
    peak_at: str
    interface: tuple[Held, ...]
    wasteful: tuple[Held, ...]


def padded_bytes(type_: ValueType | None) -> int:
    """Bytes of a tensor whose last axis is padded to 64 bytes; a scalar takes 64."""
    tensor = as_tensor(type_)
    return 0 if tensor is None or tensor.shape is None or tensor.dtype not in DTYPES else _padded(tensor)


@lru_cache(maxsize=4096)  # a program of thousands of ops has a few dozen types
def _padded(tensor: TensorType) -> int:
    extents = [max(0, extent) if extent is not None else 1 for extent in tensor.shape or ()]
    row = -(-(extents[-1] if extents else 1) * DTYPES[tensor.dtype].bits // 8)
    return size_of(extents[:-1]) * min(-(-row // ALIGNMENT), LARGEST) * ALIGNMENT


def measure(function: FunctionGraph) -> Memory:
    """All tensors of a function, and the most that is alive at once in the order of the program."""
    tensors = list(_tensors(function))
    interface = tuple(each for each in tensors if each.kind != "intermediate")
    by_waste = sorted(tensors, key=lambda each: each.bytes - each.padded)
    wasteful = tuple(each for each in by_waste[:SHOWN] if each.padded > each.bytes)
    peak, where = _peak(function)
    total, padded = sum(each.bytes for each in tensors), sum(each.padded for each in tensors)
    return Memory(total, padded, peak, where, interface, wasteful)


def _tensors(function: FunctionGraph) -> Iterator[Held]:
    outputs = {item.name for item in function.outputs}
    for kind, items in (("input", function.inputs), ("state", function.states)):
        yield from (_held(item.name, kind, item.type) for item in items)
    for op in function.ops:
        for item in op.results:
            if isinstance(item.type, TensorType):
                yield _held(item.name, "output" if item.name in outputs else "intermediate", item.type)


def _held(name: str, kind: str, type_: ValueType) -> Held:
    return Held(name, kind, str(as_tensor(type_) or type_), tensor_bytes(type_), padded_bytes(type_))


def _peak(function: FunctionGraph) -> tuple[int, str]:
    """The most padded bytes alive after any op, and that op's name: a value lives from its op to its last use."""
    last: dict[str, int] = {name: users[-1].position for name, users in function.uses.items()}
    for item in function.outputs:
        last[item.name] = len(function.ops)
    ends: dict[int, int] = {}
    alive = sum(padded_bytes(item.type) for item in function.states)
    for item in function.inputs:
        alive += padded_bytes(item.type)
        ends[last.get(item.name, 0)] = ends.get(last.get(item.name, 0), 0) + padded_bytes(item.type)
    peak, where = alive, "inputs"
    for op in function.ops:
        for item in op.results:
            size = padded_bytes(item.type)
            alive += size
            end = last.get(item.name, op.position)
            ends[end] = ends.get(end, 0) + size
        if alive > peak:
            peak, where = alive, op.name
        alive -= ends.pop(op.position, 0)
    return peak, where
