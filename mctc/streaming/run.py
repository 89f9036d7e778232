"""Running step functions over a whole sequence, chunk by chunk: frames of silence flush what look-ahead still holds.

Silence is zero, or the number nearest to it that an input may be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from mctc.ir.op import Array
from mctc.ir.program import Function, Value
from mctc.ir.types import Role
from mctc.streaming.context import VALID
from mctc.streaming.step_info import StepInfo

Step = tuple[Function, StepInfo]
Call = Callable[[Function, Mapping[str, Array], Mapping[str, Array] | None], tuple[dict[str, Array], dict[str, Array]]]


def stream(
    step_for: Callable[[int], Step], inputs: Mapping[str, Array], chunks: Iterable[int], call: Call
) -> dict[str, Array]:
    """Results over the whole sequence, as the whole function gives them.

    step_for(chunk) is the step for a chunk of so many frames of its dimension; `chunks` are the chunk lengths in turn
    (the last one repeats); call(function, inputs, state) runs one step and returns results and states.
    """
    lengths = iter(chunks)
    chunk = next(lengths)
    function, info = step_for(chunk)
    total = _total(function, info, inputs)
    collected: dict[str, list[Array]] = {name: [] for name, _ in function.results}
    state: dict[str, Array] | None = None
    start = 0
    last = max([t.delay * t.jump for t in info.timings.values()], default=0)
    while start < total + last:
        results, state = call(function, _chunk(function, info, inputs, start, chunk, total), state)
        for name in collected:
            collected[name].append(results[name])
        start += chunk
        chunk = next(lengths, chunk)
        function, info = step_for(chunk)
    return {name: _joined(function, info, name, parts, total) for name, parts in collected.items()}


def label_by_label(
    step: Step, inputs: Mapping[str, Array], run: Callable[[Mapping[str, Array]], dict[str, Array]]
) -> dict[str, Array]:
    """Results of a step over time that takes labels too: `run` gives those of what one call takes of them, and each of
    them is a stream of its own."""
    function, info = step
    taken = {name: (axis, info.labels[name]) for name, axis in _label_axes(function.inputs, info).items()}
    counts = {inputs[name].shape[axis] // labels for name, (axis, labels) in taken.items()} or {1}
    (count,) = counts
    parts = {name: np.split(inputs[name], count, axis) for name, (axis, _) in taken.items()}
    ran = [run({**inputs, **{name: part[label] for name, part in parts.items()}}) for label in range(count)]
    axes = _label_axes([Value(value.type, name) for name, value in function.results], info)
    return {
        name: np.concatenate([each[name] for each in ran], axes[name]) if name in axes else array
        for name, array in ran[0].items()
    }


def _label_axes(values: Iterable[Value], info: StepInfo) -> dict[str, int]:
    axes = {value.name: value.type.find(Role.LABEL) for value in values if value.name in info.labels}
    return {name: axis for name, axis in axes.items() if axis is not None}


def _total(function: Function, info: StepInfo, inputs: Mapping[str, Array]) -> int:
    """Frames of the dimension that the step goes along; those of one call where no input has any."""
    for value in function.inputs:
        axis = value.type.find(info.role)
        if value.name in info.frames and axis is not None and value.name != VALID:
            return int(inputs[value.name].shape[axis] * info.chunk // info.frames[value.name])
    return info.chunk


def _chunk(
    function: Function, info: StepInfo, inputs: Mapping[str, Array], start: int, chunk: int, total: int
) -> dict[str, Array]:
    part: dict[str, Array] = {}
    for value in function.inputs:
        axis = value.type.find(info.role)
        if value.name not in info.frames or axis is None:
            part[value.name] = inputs[value.name]
            continue
        frames = info.frames[value.name]
        first = start * frames // chunk
        if value.name == VALID:
            part[VALID] = (np.arange(first, first + frames) < total * frames // chunk).astype(np.float64)
        else:
            part[value.name] = _cut(inputs[value.name], axis, first, frames, function.domain(value).silence)
    return part


def _cut(array: Array, axis: int, first: int, frames: int, silence: float) -> Array:
    """`frames` frames from `first` on, silence behind the last one."""
    have = array.shape[axis]
    taken = np.take(array, range(min(first, have), min(first + frames, have)), axis=axis)
    widths = [(0, frames - taken.shape[axis]) if i == axis else (0, 0) for i in range(array.ndim)]
    return np.pad(taken, widths, constant_values=silence)


def _joined(function: Function, info: StepInfo, name: str, parts: list[Array], total: int) -> Array:
    """A result over the whole sequence; one that has no frames is the same after every call."""
    axis, timing = dict(function.results)[name].type.find(info.role), info.timings.get(name)
    if timing is None or axis is None:
        return parts[-1]
    frames = int(total / timing.jump)
    return np.take(np.concatenate(parts, axis), range(timing.delay, timing.delay + frames), axis=axis)
