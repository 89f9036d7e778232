"""Initial values of parameters, for a build without trained weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mctc.half_bits import to_half
from mctc.ir.op import Array
from mctc.ir.program import Initializer
from mctc.ir.types import TensorType

if TYPE_CHECKING:  # naming numpy.random imports it, which checking a spec has no need of
    Parts = Callable[[Array], None]
    Draw = Callable[[np.random.Generator, tuple[int, ...], Mapping[str, float]], Array | Parts]

PART = 1 << 16  # numbers


def _uniform(rng: np.random.Generator, bound: float) -> Parts:
    """Drawn, scaled and moved while a processor's cache holds a part: the 24 upper bits of each 32 that the generator
    gives, as numpy has it of random numbers in float32, at two thirds of its time."""
    step = np.float32(2 * bound) * np.float32(2.0**-24)  # a power of two changes no digit
    bits = np.empty(PART + 1, np.uint32)

    def draw(part: Array) -> None:
        raw = rng.bit_generator.random_raw((part.size + 1) // 2).astype("<u8", copy=False).view("<u4")
        upper = np.right_shift(raw[: part.size], np.uint32(8), out=bits[: part.size])
        np.copyto(part, upper.view(np.int32), casting="unsafe")
        np.subtract(np.multiply(part, step, out=part), np.float32(bound), out=part)

    return draw


def _normal(rng: np.random.Generator, std: float) -> Parts:
    """Drawn in double precision."""

    def draw(part: Array) -> None:
        part[...] = rng.normal(0.0, std, part.size)

    return draw


def _delta_bias(rng: np.random.Generator, shape: tuple[int, ...], a: Mapping[str, float]) -> Array:
    """softplus^-1 of step sizes drawn log-uniformly from low ... high (Mamba's initialisation of dt)."""
    low, high = a.get("low", 1e-3), a.get("high", 1e-1)
    step = np.exp(rng.uniform(math.log(low), math.log(high), shape))
    return np.asarray(step + np.log(-np.expm1(-step)))


def _truncated_normal(rng: np.random.Generator, shape: tuple[int, ...], std: float, cut: float) -> Array:
    """Normal, and drawn again beyond `cut` standard deviations."""
    made = rng.normal(0.0, 1.0, shape)
    while (beyond := np.abs(made) > cut).any():
        made[beyond] = rng.normal(0.0, 1.0, int(beyond.sum()))
    return np.asarray(std * made)


def _orthogonal(rng: np.random.Generator, shape: tuple[int, ...], gain: float, parts: int) -> Array:
    """Blocks of rows, each with orthonormal rows or columns times the gain (Saxe et al. 2014): Q of normal numbers, the
    signs of R's diagonal taken in, so that all of them are equally likely."""
    rows, columns = shape[0] // parts, math.prod(shape[1:])
    blocks = []
    for _ in range(parts):
        q, r = np.linalg.qr(rng.normal(0.0, 1.0, (max(rows, columns), min(rows, columns))))
        q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
        blocks.append(q if rows >= columns else q.T)
    return np.asarray(gain * np.concatenate(blocks).reshape(shape))


def _fans(a: Mapping[str, float]) -> float:
    return a["fan_in"] + a["fan_out"]


INITIALIZERS: dict[str, Draw] = {
    "zeros": lambda rng, shape, a: np.zeros(shape),
    "ones": lambda rng, shape, a: np.ones(shape),
    "constant": lambda rng, shape, a: np.full(shape, a["value"]),
    "uniform": lambda rng, shape, a: _uniform(rng, a["bound"]),
    "normal": lambda rng, shape, a: _normal(rng, a.get("std", 1.0)),
    "truncated_normal": lambda rng, shape, a: _truncated_normal(rng, shape, a.get("std", 1.0), a.get("cut", 2.0)),
    # torch's default for Linear and Conv: uniform within 1 / sqrt(fan in); a gain of sqrt(2) is He's for rectifiers
    "kaiming_uniform": lambda rng, shape, a: _uniform(
        rng, a["gain"] * math.sqrt(3 / a["fan_in"]) if "gain" in a else 1 / math.sqrt(a["fan_in"])
    ),
    "kaiming_normal": lambda rng, shape, a: _normal(rng, a.get("gain", math.sqrt(2)) / math.sqrt(a["fan_in"])),
    # Glorot and Bengio, 2010
    "xavier_uniform": lambda rng, shape, a: _uniform(rng, a.get("gain", 1.0) * math.sqrt(6 / _fans(a))),
    "xavier_normal": lambda rng, shape, a: _normal(rng, a.get("gain", 1.0) * math.sqrt(2 / _fans(a))),
    "orthogonal": lambda rng, shape, a: _orthogonal(rng, shape, a.get("gain", 1.0), int(a.get("parts", 1))),
    # Mamba's A: log(1 ... N) in every row
    "log_arange": lambda rng, shape, a: np.broadcast_to(np.log(np.arange(1, shape[-1] + 1)), shape),
    "delta_bias": _delta_bias,
}


def initialise(
    name: str, type_: TensorType, rule: Initializer, seed: int, dtype: type[np.floating[Any]] | None = None
) -> Array:
    """The tensor that `seed` gives to `name`: float32 (None), the same on every machine and whatever else is drawn; or
    that rounded to float16."""
    drawn = _drawn(name, type_, rule, seed)
    if callable(drawn):
        return _joined(drawn, math.prod(type_.shape), dtype or np.float32).reshape(type_.shape)
    whole = np.asarray(drawn, np.float32)
    return to_half(whole) if dtype is np.float16 else whole


class Rows:
    """Rows of the tensor that `seed` gives to `name`, in float32, some after the others; see `of`."""

    def __init__(self, draw: Parts, row: tuple[int, ...]) -> None:
        self.next = 0  # the row that comes next
        self._draw, self._row = draw, row

    @classmethod
    def of(cls, name: str, type_: TensorType, rule: Initializer, seed: int) -> Rows | None:
        """None where all rows are drawn at once."""
        if type_.rank < 2 or math.prod(type_.shape[1:]) % 2:  # a generator gives two uniform numbers at a time
            return None
        drawn = _drawn(name, type_, rule, seed)
        return cls(drawn, type_.shape[1:]) if callable(drawn) else None

    def take(self, count: int) -> Array:
        """The next rows."""
        self.next += count
        return _joined(self._draw, count * math.prod(self._row), np.float32).reshape(count, *self._row)


def _drawn(name: str, type_: TensorType, rule: Initializer, seed: int) -> Array | Parts:
    import hashlib

    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    rng = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
    return INITIALIZERS[rule.rule](rng, type_.shape, dict(rule.arguments))


def _joined(draw: Parts, size: int, dtype: type[np.floating[Any]]) -> Array:
    """Numbers that are drawn a part after the other: those of one draw of all."""
    made = np.empty(size, dtype)
    room = np.empty(min(size, PART), np.float32)
    for begin in range(0, size, PART):
        part = made[begin : begin + PART]
        if dtype is np.float32:
            draw(part)
        else:
            draw(room[: part.size])
            to_half(room[: part.size], out=part)
    return made
