"""How many entries of each dimension one call of a derived function takes."""

from __future__ import annotations

from fractions import Fraction

from mctc.ir.dims import Extent
from mctc.ir.program import Function, Program
from mctc.ir.time import Pointwise
from mctc.ir.types import Role, TensorType
from mctc.streaming import refusals
from mctc.streaming.lengths import Lengths, dimensions, frames_of, rate_of


def streaming_role(function: Function) -> Role:
    """The role of the axis that a component's results grow along."""
    given, made = ([v.type for v in values] for values in (function.inputs, [v for _, v in function.results]))
    over_labels = any(has_open(t, Role.LABEL) for t in given) and all(t.find(Role.TIME) is None for t in made)
    return Role.TIME if any(t.find(Role.TIME) is not None for t in given) and not over_labels else Role.LABEL


def has_open(type_: TensorType, role: Role) -> bool:
    """Whether a type has an axis of `role` whose extent the utterance decides."""
    return any(axis.role is role and axis.extent.symbols for axis in type_.axes)


def check_dimensions(function: Function, role: Role, *, streams: bool) -> None:
    """A call goes along one time dimension, takes labels of one dimension and, beside time, one of them: what mixes
    labels would see one alone. What it takes of either is a multiple of the dimension. Raises DiagnosticError."""
    times, labels = (dimensions([function], each) for each in (Role.TIME, Role.LABEL))
    for axis in (axis for value in function.inputs for axis in value.type.axes if axis.role in (Role.TIME, Role.LABEL)):
        if axis.extent.symbols and not _is_multiple(axis.extent):
            raise refusals.no_stream(function, axis.extent)
    if len(labels) > 1:
        raise refusals.several_labels(function, labels)
    if role is Role.TIME and streams and len(times) > 1:
        raise refusals.several_times(function, times)
    if role is Role.LABEL or not labels:
        return
    for op in function.ops:
        beside = any(value is not None and has_open(value.type, Role.LABEL) for value in op.operands)
        if beside and not isinstance(op.along(Role.LABEL), Pointwise):
            raise refusals.along_labels(function, op, labels[0])


def _is_multiple(extent: Extent) -> bool:
    return any(extent == Extent.of(symbol) * extent.coefficient(symbol) for symbol in extent.symbols)


def goes_along(program: Program, function: Function, role: Role) -> str | None:
    """The dimension that a function goes along: the fastest, where a call takes whole utterances of several."""
    found = dimensions([function], role)
    return min(found, key=lambda symbol: (-(rate_of(program, symbol) or 0), symbol), default=None)


def sizes_of(
    program: Program, function: Function, role: Role, lengths: Lengths, labels: int, *, streams: bool
) -> dict[str, int]:
    """Entries a call of every dimension of open extent: a batch of one, `labels` labels, and the frames that `lengths`
    say. Raises DiagnosticError for a length that is no whole number of frames."""
    sizes = {symbol: 1 for value in function.inputs for extent in value.type.extents for symbol in extent.symbols}
    sizes |= dict.fromkeys(dimensions([function], Role.LABEL), labels if role is Role.LABEL else 1)
    times = dimensions([function], Role.TIME)
    whole = role is Role.LABEL or not streams
    if role is Role.LABEL and times and lengths.utterance is None:
        raise refusals.no_length(function)
    base = (lengths.utterance or lengths.chunk) if whole else lengths.chunk
    return sizes | {symbol: _frames(program, function, symbol, base, whole) for symbol in times}


def _frames(program: Program, function: Function, symbol: str, base: int, whole: bool) -> int:
    frames: Fraction = frames_of(program, symbol, base)
    if frames.denominator != 1:
        raise refusals.no_whole_frames(program, function, symbol, frames, length_in_words(whole))
    return int(frames)


def length_in_words(whole: bool) -> str:
    return "an utterance" if whole else "a chunk"
