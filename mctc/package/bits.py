"""Integers narrower than a byte, packed without gaps from the least significant bit up."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray


def unpack(data: bytes | NDArray[np.uint8], bits: int, count: int, *, signed: bool = False) -> NDArray[Any]:
    """Unpacks `count` integers of `bits` bits each (1 to 8) into uint8, or int8 when signed.

    Element k occupies bits k*bits … (k+1)*bits-1 of the stream, bit 0 being the lowest of the first byte: what
    coremltools' writer produces for int4 and uint1/2/3/4/6, and packs into the indices of an iOS 16 palette.
    """
    raw = np.frombuffer(data, dtype=np.uint8) if isinstance(data, bytes) else np.ascontiguousarray(data, np.uint8)
    if raw.size * 8 < count * bits:
        raise ValueError(f"{count} integers of {bits} bits need {-(-count * bits // 8)} bytes, {raw.size} are there")
    if bits in (1, 2, 4):
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
    raw = np.asarray(values).astype(np.uint8).reshape(-1, 1)
    if bits in (1, 2, 4):
        share = 8 // bits
        padded = np.zeros((-(-raw.size // share), share), np.uint8)
        padded.reshape(-1)[: raw.size] = raw[:, 0] & np.uint8((1 << bits) - 1)
        for place in range(1, share):
            padded[:, 0] |= padded[:, place] << np.uint8(place * bits)
        return padded[:, 0].tobytes()
    return np.packbits(np.unpackbits(raw, axis=1, bitorder="little")[:, :bits].reshape(-1), bitorder="little").tobytes()
