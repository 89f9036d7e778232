"""One utterance in a padded batch: its frames must be those that it has alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

import numpy as np

from mctc.ir.op import Array
from mctc.ir.program import Function, Value
from mctc.ir.types import Role, TensorType
from mctc.numerics.battery import NOISE, Item, draw
from mctc.numerics.sizes import least, roles
from mctc.proof.subject import SEED, Results, Subject

LENGTHS = "lengths"  # the input of an engine's function that counts the frames of each utterance
STRIDES = 3  # that the other utterance of the batch is longer


def can_pad(subject: Subject, name: str) -> bool:
    """Whether a component takes several utterances over time at once, all its inputs among them."""
    function, step = subject.whole.functions[subject.component(name)], subject.steps.get(name)
    if step is not None and not step.streams:
        return False  # an utterance is as long as the spec says
    over = [value.type.find(role) for value in function.inputs for role in (Role.TIME, Role.BATCH)]
    return bool(over) and None not in over and list(roles(function).values()).count(Role.TIME) == 1


def over_padded(
    subject: Subject, name: str, call: Callable[[Mapping[str, Array]], Mapping[str, Array]], item: Item = NOISE
) -> Results:
    """Results for an utterance that is the shorter one of a batch of two, cut to its frames.

    call: takes inputs by name and LENGTHS [2]. The other utterance is noise.
    """
    function = subject.whole.functions[subject.component(name)]
    alone, sizes = subject.utterance(name, item).inputs, subject.sizes(name, item)
    (symbol,) = {s for s, role in roles(function).items() if role is Role.TIME}
    longer = {**sizes, symbol: sizes[symbol] + STRIDES * least(function, symbol)}
    other = draw(function, longer, NOISE, SEED + 1)
    given = {value.name: _batch(value, alone[value.name], other[value.name]) for value in function.inputs}
    frames = [int(size[symbol] * _most(function, symbol)) for size in (sizes, longer)]
    results = call({**given, LENGTHS: np.array(frames, np.int64)})
    types = {key: value.type.substitute(sizes) for key, value in function.results}
    return subject.real(name, {key: _first(types[key], array) for key, array in results.items()})


def _most(function: Function, symbol: str) -> Fraction:
    """Frames of the input that has the most, in which lengths count, for one of the dimension: 2 where it has 2*T."""
    return max(extent.coefficient(symbol) for value in function.inputs for extent in value.type.extents)


def _batch(value: Value, alone: Array, other: Array) -> Array:
    """Both utterances, the first filled with zeros to the length of the second."""
    widths = [(0, there - here) for here, there in zip(alone.shape, other.shape)]
    axis = value.type.find(Role.BATCH)
    assert axis is not None
    return np.concatenate([np.pad(alone, widths), other], axis)


def _first(type_: TensorType, array: Array) -> Array:
    """The first utterance of a batch, cut to the shape that it has alone."""
    return np.asarray(array)[tuple(slice(0, extent) for extent in type_.shape)]
