"""Running step functions over a whole sequence, chunk by chunk: zero frames flush what look-ahead still holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from mctc.ir.op import Array
from mctc.ir.program import Function
from mctc.streaming.context import VALID
from mctc.streaming.derive import StepInfo

Step = tuple[Function, StepInfo]
Call = Callable[[Function, Mapping[str, Array], Mapping[str, Array] | None], tuple[dict[str, Array], dict[str, Array]]]


def stream(
    step_for: Callable[[int], Step], inputs: Mapping[str, Array], chunks: Iterable[int], call: Call
) -> dict[str, Array]:
    """Results over the whole sequence, as the whole function gives them.

    step_for(chunk) is the step for a chunk of so many base frames; `chunks` are the chunk lengths in turn (the last one
    repeats); call(function, inputs, state) runs one step and returns results and states.
    """
    lengths = iter(chunks)
    chunk = next(lengths)
    function, info = step_for(chunk)
    total = _base_frames(function, info, inputs)
    collected: dict[str, list[Array]] = {name: [] for name in info.timings}
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


def _base_frames(function: Function, info: StepInfo, inputs: Mapping[str, Array]) -> int:
    for value in function.inputs:
        axis = value.type.find(info.role)
        if axis is not None and value.name != VALID:
            return int(inputs[value.name].shape[axis] * info.chunk // info.frames[value.name])
    raise ValueError(f"{function.name} has no input that streams")


def _chunk(
    function: Function, info: StepInfo, inputs: Mapping[str, Array], start: int, chunk: int, total: int
) -> dict[str, Array]:
    part: dict[str, Array] = {}
    for value in function.inputs:
        axis = value.type.find(info.role)
        if value.name == VALID:
            part[VALID] = (np.arange(start, start + chunk) < total).astype(np.float64)
        elif axis is None:
            part[value.name] = inputs[value.name]
        else:
            frames = info.frames[value.name]
            first = start * frames // chunk
            array = inputs[value.name]
            taken = np.take(
                array, range(min(first, array.shape[axis]), min(first + frames, array.shape[axis])), axis=axis
            )
            widths = [(0, frames - taken.shape[axis]) if i == axis else (0, 0) for i in range(array.ndim)]
            part[value.name] = np.pad(taken, widths)
    return part


def _joined(function: Function, info: StepInfo, name: str, parts: list[Array], total: int) -> Array:
    value = dict(function.results)[name]
    axis = value.type.find(info.role)
    assert axis is not None
    timing = info.timings[name]
    frames = int(total / timing.jump)
    return np.take(np.concatenate(parts, axis), range(timing.delay, timing.delay + frames), axis=axis)
