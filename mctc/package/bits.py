"""Integers narrower than a byte, packed without gaps from the least significant bit up."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORD = np.dtype("<u2")  # the first of two bytes is the lower one
BLOCK = 1 << 16  # bytes that are worked on at a time, in a processor's cache


def unpack(data: bytes | NDArray[np.uint8], bits: int, count: int, *, signed: bool = False) -> NDArray[Any]:
    """Unpacks `count` integers of `bits` bits each (1 to 8) into uint8, or int8 when signed.

    Element k occupies bits k*bits … (k+1)*bits-1 of the stream, bit 0 being the lowest of the first byte: what
    coremltools' writer produces for int4 and uint1/2/3/4/6, and packs into the indices of an iOS 16 palette.
    """
    raw = np.frombuffer(data, dtype=np.uint8) if isinstance(data, bytes) else np.ascontiguousarray(data, np.uint8)
    if raw.size * 8 < count * bits:
        raise ValueError(f"{count} integers of {bits} bits need {-(-count * bits // 8)} bytes, {raw.size} are there")
    if bits == 4:
        return _halves(raw, signed)[:count]
    if bits in (1, 2):
        table = _bytes_unpacked(bits, signed)
        return table[raw].view(np.int8 if signed else np.uint8)[:count]
    if bits == 8:
        values = raw[:count].copy()
    else:
        stream = np.unpackbits(raw, bitorder="little")[: count * bits].reshape(count, bits)
        values = np.packbits(stream, axis=1, bitorder="little").reshape(-1)
    if not signed:
        return np.asarray(values, np.uint8)
    spare = np.uint8(8 - bits)
    return np.asarray((values << spare).view(np.int8) >> np.int8(spare), np.int8)


def _halves(raw: NDArray[np.uint8], signed: bool) -> NDArray[Any]:
    """Two integers of each byte, by arithmetic on both at once: a quarter of the time that look-ups take."""
    pairs = np.empty(raw.size, WORD)
    room = np.empty(min(raw.size, BLOCK), WORD)
    for begin in range(0, raw.size, BLOCK):
        part = pairs[begin : begin + BLOCK]
        np.copyto(part, raw[begin : begin + BLOCK])
        np.bitwise_or(part, np.left_shift(part, 4, out=room[: part.size]), out=part)
        np.bitwise_and(part, 0x0F0F, out=part)
        if signed:
            single = part.view(np.int8)
            np.subtract(np.bitwise_xor(single, 8, out=single), 8, out=single)
    return pairs.view(np.int8 if signed else np.uint8)


def _joined(codes: NDArray[Any]) -> NDArray[np.uint8]:
    """The inverse for an even number of integers."""
    pairs, made = codes.view(WORD), np.empty(codes.size // 2, np.uint8)
    room = np.empty((2, min(made.size, BLOCK)), WORD)
    for begin in range(0, made.size, BLOCK):
        part = made[begin : begin + BLOCK]
        low, high = room[:, : part.size]
        np.bitwise_and(pairs[begin : begin + BLOCK], 0x0F0F, out=low)
        np.bitwise_or(low, np.right_shift(low, 4, out=high), out=low)
        np.copyto(part, low, casting="unsafe")
    return made


@lru_cache(maxsize=6)
def _bytes_unpacked(bits: int, signed: bool) -> NDArray[Any]:
    """For each of the 256 bytes the integers in it, side by side in one wider word: one look-up gives them all."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    values = (np.arange(256, dtype=np.uint8)[:, None] >> shifts) & np.uint8((1 << bits) - 1)
    spare = np.uint8(8 - bits)
    if signed:
        values = ((values << spare).view(np.int8) >> np.int8(spare)).view(np.uint8)
    return np.ascontiguousarray(values).view(f"u{8 // bits}")[:, 0]


def pack(values: NDArray[Any], bits: int) -> bytes:
    """The inverse of `unpack`: the low `bits` bits of every integer, in order."""
    codes = np.ascontiguousarray(values)
    if bits == 4 and codes.itemsize == 1 and codes.size % 2 == 0:
        return _joined(codes.reshape(-1)).tobytes()
    raw = codes.astype(np.uint8).reshape(-1, 1)
    if bits in (1, 2, 4):
        share = 8 // bits
        padded = np.zeros((-(-raw.size // share), share), np.uint8)
        padded.reshape(-1)[: raw.size] = raw[:, 0] & np.uint8((1 << bits) - 1)
        for place in range(1, share):
            padded[:, 0] |= padded[:, place] << np.uint8(place * bits)
        return padded[:, 0].tobytes()
    return np.packbits(np.unpackbits(raw, axis=1, bitorder="little")[:, :bits].reshape(-1), bitorder="little").tobytes()
