"""Rounding to fp16 of numbers that float32 arrays hold."""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # naming it imports numpy, which a check has no need of
    from numpy.typing import NDArray

    Array = NDArray[Any]

_LARGE = 2.0**15
"""The power of two from which some magnitudes round to infinity in fp16, from 65520 on."""
_VANISHING = 2.0**-25
"""The power of two up to which magnitudes round to zero, but for those between it and the next."""
_SMALL = 1024
"""Elements below which numpy's own conversion costs less than the passes over memory of the other way."""
_BLOCK = 1 << 15
"""Elements that are rounded at a time."""
_LEAST_NORMAL = 2.0**-14
_MOST_SIZES = 256


class _Room:
    """Arrays of a size to work in, and the numbers that a block is rounded with.

    exponent, sign: the bits of an exponent and of a sign. shift: 1.5 * 2^13. subnormal: the least exponent of normal
    numbers, once for each element, since numpy's maximum with one number takes twice as long.
    """

    __slots__ = ("exponent", "exponents", "offsets", "shift", "sign", "signs", "subnormal")

    def __init__(self, rooms: _Rooms, size: int) -> None:
        self.exponent, self.sign, self.shift, subnormal = _numbers()
        self.exponents, self.signs, self.subnormal = rooms.exponents[:size], rooms.signs[:size], subnormal[:size]
        self.offsets = self.exponents.view(np.float32)


class _Rooms:
    """A thread's rooms by their size, views of the same memory. Making them takes as long as a pass over thousands of
    elements."""

    def __init__(self) -> None:
        self.exponents, self.signs = np.empty(_BLOCK, np.int32), np.empty(_BLOCK, np.int32)
        self.by_size: dict[int, _Room] = {}

    def of(self, size: int) -> _Room:
        found = self.by_size.get(size)
        if found is None:
            if len(self.by_size) >= _MOST_SIZES:
                self.by_size.clear()
            found = self.by_size[size] = _Room(self, size)
        return found


_OF_THREAD = threading.local()


def round_to_half(values: Array, *, in_place: bool = False) -> Array:
    """float32 in, float32 out, every element the nearest fp16 number (ties to even).

    in_place: whether the array may be overwritten, which saves a large one's memory.

    Large arrays are rounded by adding and subtracting 1.5 * 2^(e + 13), with e the element's exponent or, for what is
    subnormal in fp16, -14: the last bit of that sum has the weight of the last bit of an fp16 number.
    """
    size = values.size
    if size < _SMALL:
        return values.astype(np.float16).astype(np.float32)
    source = values if values.flags.c_contiguous else np.ascontiguousarray(values)
    result = source if in_place else np.empty_like(source)
    flat, rounded = source.reshape(-1), result.reshape(-1)
    rooms = _rooms()
    if size <= _BLOCK:
        _round_block(flat, rounded, rooms.of(size))
        return result
    for start in range(0, size, _BLOCK):
        block = slice(start, start + _BLOCK)
        _round_block(flat[block], rounded[block], rooms.of(min(_BLOCK, size - start)))
    return result


@cache
def _numbers() -> tuple[Array, Array, Array, Array]:
    exponent, sign = np.array(0x7F800000, np.int32), np.array(-0x80000000, np.int32)
    return exponent, sign, np.array(1.5 * 2**13, np.float32), np.full(_BLOCK, 2**-14, np.float32)


def _rooms() -> _Rooms:
    found: _Rooms | None = getattr(_OF_THREAD, "rooms", None)
    if found is None:
        found = _OF_THREAD.rooms = _Rooms()
    return found


def _round_block(values: Array, rounded: Array, room: _Room) -> None:
    """Rounds what a processor's cache holds; `rounded` may be `values`.

    Powers of two are compared and moved as floats: numpy's loops over int32 are slower.
    """
    bits, offsets = values.view(np.int32), room.offsets
    np.bitwise_and(bits, room.exponent, out=room.exponents)
    if not np.maximum.reduce(offsets) < _LARGE:
        with np.errstate(over="ignore"):  # beyond fp16's largest number: infinite, as the format has it
            rounded[:] = values.astype(np.float16)
        return
    least = np.minimum.reduce(offsets)
    vanishes = least <= _VANISHING
    if vanishes:
        np.bitwise_and(bits, room.sign, out=room.signs)
    if least < _LEAST_NORMAL:
        np.maximum(offsets, room.subnormal, out=offsets)
    np.multiply(offsets, room.shift, out=offsets)
    np.add(values, offsets, out=rounded)
    np.subtract(rounded, offsets, out=rounded)
    if vanishes:  # a zero has the sign of what became it
        bits = rounded.view(np.int32)
        np.bitwise_or(bits, room.signs, out=bits)
