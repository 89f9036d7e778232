"""fp16 arithmetic on deployed programs, op by op, for tests of what a package computes on the engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from mctc.evaluate.reference import evaluate
from mctc.ir.op import Array
from mctc.ir.program import Function


def in_half(function: Function, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Results with every value rounded to fp16 as soon as it is made; the function has no parameters."""
    with np.errstate(all="ignore"):
        return evaluate(function, inputs, lambda name: np.zeros(0), dtype=np.float16)[0]


def exactly(function: Function, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Results in double precision."""
    with np.errstate(all="ignore"):
        return evaluate(function, inputs, lambda name: np.zeros(0))[0]


def battery(shape: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    """fp16 numbers of every magnitude: names and arrays."""
    rng = np.random.default_rng(5)
    noise = rng.normal(size=shape)
    spoken = np.arange(shape[-1]) // 3 % 2 == 0
    for name, array in {
        "noise": noise,
        "silence": np.zeros(shape),
        "sound, silence, sound": np.where(spoken, noise, 0.0),
        "constant": np.ones(shape),
        "quiet": 1e-4 * noise,
        "smallest": 6e-8 * rng.integers(-2, 3, shape),
        "largest": 65504 * rng.uniform(0.5, 1, shape) * np.sign(noise),
    }.items():
        yield name, array.astype(np.float16).astype(np.float64)
