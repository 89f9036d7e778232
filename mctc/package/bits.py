"""Integers narrower than a byte, packed without gaps from the least significant bit up."""

from __future__ import annotations

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
    if bits == 8:
        values = raw[:count].copy()
    elif 8 % bits == 0:
        shifts = np.arange(0, 8, bits, dtype=np.uint8)
        values = ((raw[:, None] >> shifts) & np.uint8((1 << bits) - 1)).reshape(-1)[:count]
    else:
        stream = np.unpackbits(raw, bitorder="little")[: count * bits].reshape(count, bits)
        values = np.packbits(stream, axis=1, bitorder="little").reshape(-1)
    if not signed:
        return np.asarray(values, np.uint8)
    spare = np.uint8(8 - bits)
    return np.asarray((values << spare).view(np.int8) >> np.int8(spare), np.int8)


def pack(values: NDArray[Any], bits: int) -> bytes:
    """The inverse of `unpack`: the low `bits` bits of every integer, in order."""
    raw = np.asarray(values).reshape(-1, 1).astype(np.int64).astype(np.uint8)
    return np.packbits(np.unpackbits(raw, axis=1, bitorder="little")[:, :bits].reshape(-1), bitorder="little").tobytes()
