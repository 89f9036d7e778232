"""Initial values of parameters, for a build without trained weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from mctc.ir.op import Array
from mctc.ir.program import Initializer
from mctc.ir.types import TensorType

if TYPE_CHECKING:  # naming numpy.random imports it, which checking a spec has no need of
    Draw = Callable[[np.random.Generator, tuple[int, ...], Mapping[str, float]], Array]

PART = 1 << 22  # numbers


def _uniform(rng: np.random.Generator, shape: tuple[int, ...], bound: float) -> Array:
    return np.asarray(rng.random(shape, np.float32) * np.float32(2 * bound) - np.float32(bound))


def _normal(rng: np.random.Generator, shape: tuple[int, ...], std: float) -> Array:
    """Drawn in double precision, a part after the other: the numbers are those of one draw of all."""
    made = np.empty(math.prod(shape), np.float32)
    for begin in range(0, made.size, PART):
        part = made[begin : begin + PART]
        part[...] = rng.normal(0.0, std, part.size)
    return made.reshape(shape)


def _delta_bias(rng: np.random.Generator, shape: tuple[int, ...], a: Mapping[str, float]) -> Array:
    """softplus^-1 of step sizes drawn log-uniformly from low ... high (Mamba's initialisation of dt)."""
    low, high = a.get("low", 1e-3), a.get("high", 1e-1)
    step = np.exp(rng.uniform(math.log(low), math.log(high), shape))
    return np.asarray(step + np.log(-np.expm1(-step)))


INITIALIZERS: dict[str, Draw] = {
    "zeros": lambda rng, shape, a: np.zeros(shape),
    "ones": lambda rng, shape, a: np.ones(shape),
    "constant": lambda rng, shape, a: np.full(shape, a["value"]),
    "uniform": lambda rng, shape, a: _uniform(rng, shape, a["bound"]),
    "normal": lambda rng, shape, a: _normal(rng, shape, a.get("std", 1.0)),
    # torch's default for Linear and Conv: uniform within 1 / sqrt(fan in)
    "kaiming_uniform": lambda rng, shape, a: _uniform(rng, shape, 1 / math.sqrt(a["fan_in"])),
    # Mamba's A: log(1 ... N) in every row
    "log_arange": lambda rng, shape, a: np.broadcast_to(np.log(np.arange(1, shape[-1] + 1)), shape),
    "delta_bias": _delta_bias,
}


def initialise(name: str, type_: TensorType, rule: Initializer, seed: int) -> Array:
    """The tensor that `seed` gives to `name`: float32, the same on every machine and whatever else is drawn."""
    import hashlib

    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    rng = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
    return np.asarray(INITIALIZERS[rule.rule](rng, type_.shape, dict(rule.arguments)), np.float32)
