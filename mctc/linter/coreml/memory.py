"""What tensors take in memory on the Neural Engine: the last axis of each is padded to 64 bytes.

Source: Apple's neural_engine_rules.md ("Tensor memory alignment"): inputs and outputs have a contiguous last axis,
aligned to 64 bytes, so one of size 1 takes 32 times its size in fp16. Intermediates may tolerate less, so their figure
is an upper bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from mctc.linter.coreml.graph import LARGEST, FunctionGraph, as_tensor, size_of, tensor_bytes
from mctc.package import NamedType, TensorType, ValueType
from mctc.package.dtypes import DTYPES
from mctc.records import dataclass

ALIGNMENT = 64
SHOWN = 8


@dataclass(frozen=True)
class HeldBytes:
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
    interface: tuple[HeldBytes, ...]
    wasteful: tuple[HeldBytes, ...]


@lru_cache(maxsize=4096)  # a program of thousands of ops has a few dozen types
def padded_bytes(type_: ValueType | None) -> int:
    """Bytes of a tensor whose last axis is padded to 64 bytes; a scalar takes 64."""
    tensor = as_tensor(type_)
    if tensor is None or tensor.shape is None or tensor.dtype not in DTYPES:
        return 0
    extents = [max(0, extent) if extent is not None else 1 for extent in tensor.shape]
    row = -(-(extents[-1] if extents else 1) * DTYPES[tensor.dtype].bits // 8)
    return size_of(extents[:-1]) * min(-(-row // ALIGNMENT), LARGEST) * ALIGNMENT


def measure(function: FunctionGraph) -> Memory:
    """All tensors of a function, and the most that is alive at once in the order of the program."""
    tensors = list(_tensors(function))
    interface = tuple(_held(kind, item) for kind, item in tensors if kind != "intermediate")
    by_waste = sorted(tensors, key=lambda each: tensor_bytes(each[1].type) - padded_bytes(each[1].type))
    most = (_held(kind, item) for kind, item in by_waste[:SHOWN])
    wasteful = tuple(each for each in most if each.padded > each.bytes)
    peak, where = _peak(function)
    total = sum(tensor_bytes(item.type) for _, item in tensors)
    padded = sum(padded_bytes(item.type) for _, item in tensors)
    return Memory(total, padded, peak, where, interface, wasteful)


def _tensors(function: FunctionGraph) -> Iterator[tuple[str, NamedType]]:
    """All tensors of a function, each after its kind."""
    outputs = {item.name for item in function.outputs}
    for kind, items in (("input", function.inputs), ("state", function.states)):
        yield from ((kind, item) for item in items)
    for op in function.ops:
        for item in op.results:
            if isinstance(item.type, TensorType):
                yield "output" if item.name in outputs else "intermediate", item


def _held(kind: str, item: NamedType) -> HeldBytes:
    shown = str(as_tensor(item.type) or item.type)
    return HeldBytes(item.name, kind, shown, tensor_bytes(item.type), padded_bytes(item.type))


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
