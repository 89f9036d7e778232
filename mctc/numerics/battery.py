"""What everything is fed: a named battery of the inputs that the world has, not one draw of noise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import Any

import numpy as np

from mctc.ir.domain import MASK, UNSTATED, Domain, Interval
from mctc.ir.masks import masks
from mctc.ir.op import Array
from mctc.ir.program import Function
from mctc.ir.types import DType, Role, TensorType
from mctc.records import dataclass
from mctc.streaming.context import VALID

Draw = Callable[[np.random.Generator, TensorType], Array]
DrawIds = Callable[[np.random.Generator, TensorType, Domain], Array]
ANY = Interval()
PART = 1 << 16  # numbers drawn at a time
MANY = 1 << 18  # numbers of an array from which on not all are drawn
AGAIN = 65521  # numbers after which those come again: a prime, so that rows of no two-dimensional array are alike
LARGE = 2.0**15, 65504.0  # magnitudes near the largest of fp16
SMALL = 2.0**-24  # the smallest number above zero of fp16


@dataclass(frozen=True)
class Item:
    """How each kind of input is drawn, and how long the utterance is.

    numbers, ids, marks: draws for floating-point inputs, ids below a bound, and zeros and ones.
    extreme: numbers at the end of what fp16 holds; where an op then leaves its range, nothing is promised.
    random: of an input that may hold some numbers only, any of them are drawn; else those nearest to what is drawn.
    chunks, steps: frames of the utterance: so many chunks, and so many of the least numbers of frames that make every
    extent whole. labels: how many, where a component over time has some. batch: sequences at once.
    """

    name: str
    numbers: Draw
    ids: DrawIds
    marks: Draw
    chunks: int = 1
    steps: int = 0
    labels: int = 1
    batch: int = 1
    random: bool = False
    extreme: bool = False


def _noise(rng: np.random.Generator, type_: TensorType, dtype: type[np.floating[Any]] = np.float32) -> Array:
    """Normal, as fp16 holds them."""
    drawn = np.empty(type_.shape, dtype)  # in parts: the numbers are those of one draw of all
    flat = drawn.reshape(-1)
    own = flat if flat.size < MANY else flat[:AGAIN]
    for begin in range(0, own.size, PART):
        part = own[begin : begin + PART]
        part[...] = rng.normal(size=part.size).astype(np.float16)
    for begin in range(own.size, flat.size, own.size):
        part = flat[begin : begin + own.size]
        part[...] = own[: part.size]
    return drawn


def _silence(rng: np.random.Generator, type_: TensorType) -> Array:
    """Exact zeros."""
    return np.zeros(type_.shape, np.float32)


def _broken(rng: np.random.Generator, type_: TensorType) -> Array:
    """Noise, silence, noise along time, or along labels where there is no time."""
    array = _noise(rng, type_)
    axis = next((found for role in (Role.TIME, Role.LABEL) if (found := type_.find(role)) is not None), None)
    if axis is not None:
        third = type_.shape[axis] // 3
        np.moveaxis(array, axis, 0)[third : 2 * third + 1] = 0
    return array


def _constant(rng: np.random.Generator, type_: TensorType) -> Array:
    """All one half: sums of it are exact in every float, so variances are zero everywhere."""
    return np.full(type_.shape, 0.5, np.float32)


def _large(rng: np.random.Generator, type_: TensorType) -> Array:
    """From 2^15 to fp16's largest, of either sign."""
    signs = rng.choice((-1.0, 1.0), type_.shape)
    return np.asarray(rng.uniform(*LARGE, type_.shape) * signs, np.float16).astype(np.float64)


def _small(rng: np.random.Generator, type_: TensorType) -> Array:
    """Zero and fp16's smallest, up to four times it, of either sign."""
    return np.asarray(rng.integers(-4, 5, type_.shape) * SMALL)


def _any_id(rng: np.random.Generator, type_: TensorType, domain: Domain) -> Array:
    """Any."""
    return domain.draw(rng, type_.shape)


def _first_id(rng: np.random.Generator, type_: TensorType, domain: Domain) -> Array:
    """The first."""
    return domain.nearest(np.zeros(type_.shape))


def _ends(rng: np.random.Generator, type_: TensorType, domain: Domain) -> Array:
    """The last and the first in turn; a few either side of zero where there is no end."""
    ends = (domain.greatest, UNSTATED - 1), (domain.least, 1 - UNSTATED)
    return domain.nearest(np.resize([end if isfinite(end) else few for end, few in ends], type_.shape))


def _any_mark(rng: np.random.Generator, type_: TensorType) -> Array:
    """Any."""
    return rng.integers(0, 2, type_.shape).astype(np.float64)


def _ones(rng: np.random.Generator, type_: TensorType) -> Array:
    """All ones."""
    return np.ones(type_.shape)


def _zeros(rng: np.random.Generator, type_: TensorType) -> Array:
    """All zeros."""
    return np.zeros(type_.shape)


def _ragged(rng: np.random.Generator, type_: TensorType) -> Array:
    """Ones up to a length of its own in every row, zeros behind it: what padding looks like."""
    frames = type_.shape[-1] if type_.shape else 1
    lengths = rng.integers(1, frames + 1, (*type_.shape[:-1], 1))
    return np.asarray(np.arange(frames) < lengths, np.float64).reshape(type_.shape)


NOISE = Item("noise", _noise, _any_id, _any_mark, chunks=2, steps=1, random=True)
SILENCE = Item("silence", _silence, _first_id, _ones, chunks=1, steps=2)
BROKEN = Item("sound, silence, sound", _broken, _any_id, _ragged, chunks=3, labels=3)
CONSTANT = Item("constant rows", _constant, _ends, _zeros, chunks=1, steps=3)
BATTERY = (
    NOISE,
    SILENCE,
    BROKEN,
    CONSTANT,
    Item("one frame", _noise, _any_id, _ones, chunks=0, steps=1),
    Item("largest numbers", _large, _ends, _ones, chunks=1, extreme=True),
    Item("smallest numbers", _small, _any_id, _ones, chunks=1),
)
"""Lengths differ, so that between them an utterance ends at several places inside of a chunk."""


def draw(function: Function, sizes: Mapping[str, int], item: Item = NOISE, seed: int = 0) -> dict[str, Array]:
    """Inputs of a function by name, in its own layout, for the sizes of its symbols, inside of what they may be."""
    rng, marks = np.random.default_rng(seed), {VALID, *masks(function)}
    return {
        v.name: _drawn(rng, v.type.substitute(sizes), MASK if v.name in marks else function.domain(v), item)
        for v in function.inputs
    }


def noise_in_half(types: Iterable[tuple[str, TensorType]], seed: int = 1) -> dict[str, Array]:
    """Noise for bare types, such as those of states, in float16."""
    rng = np.random.default_rng(seed)
    return {name: _noise(rng, type_, np.float16) for name, type_ in types}


def _drawn(rng: np.random.Generator, type_: TensorType, domain: Domain, item: Item) -> Array:
    if domain == MASK:
        return item.marks(rng, type_).astype({DType.BOOL: np.bool_, DType.I32: np.int64}.get(type_.dtype, np.float64))
    if domain.whole:
        return item.ids(rng, type_, domain)
    if domain == ANY:
        return item.numbers(rng, type_)
    return domain.draw(rng, type_.shape) if item.random else domain.nearest(item.numbers(rng, type_))
