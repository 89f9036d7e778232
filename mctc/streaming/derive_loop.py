"""The step of a recurrence of the author's own: the same loop over a chunk, its states those of the step."""

from __future__ import annotations

from fractions import Fraction
from functools import partial

from mctc.ir.attribute_value import Attributes
from mctc.ir.loops import Loop
from mctc.ir.ops.loop import Scan, ScanState, held_type
from mctc.ir.program import Op, Value, name_like
from mctc.streaming.derivation import Derivation, Last, substitute
from mctc.streaming.timing import Timing, join


def derive_loop(d: Derivation, loop: Loop) -> None:
    """What enters the loop is aligned to one delay, and a frame that does not exist moves no state.

    Raises what the derivation of an op raises.
    """
    streams = d.streams and loop.role is d.role
    for value in loop.outer:
        d.refuse_last(d.values[value], loop.close)
    entering = {old: d.values[old] for old in loop.outer if d.values[old] in d.timings}
    frames = d.static(loop.states[0].result.type, loop.states[0])
    alone = Timing(jump=Fraction(d.chunk, frames.extents[frames.sequence or 0].value))
    timing = join([d.timings[value] for value in entering.values()] or [alone])
    for old, new in entering.items():
        d.values[old] = d.delayed(new, timing.delay) or new
    states = [d.located(op, partial(_opened, d, op, streams)) for op in loop.states]
    for op in loop.ops:
        d.located(op, partial(_inside, d, op, timing if streams else None))
    results = d.located(loop.close, partial(_closed, d, loop, timing))
    for old, new in zip(loop.close.results, results, strict=True):
        d.values[old] = new
        name_like(new, old)
        if d.is_sequence(old):
            d.sequences.add(new)
    if streams:
        d.time(loop.close, results, timing.recurrent())
        for state, end in zip(states, results[-len(states) :]):
            d.contexts.close(state, end)
            d.last[end] = Last(loop.close, timing)
    d.values.update(entering)


def _opened(d: Derivation, op: ScanState, streams: bool) -> Value:
    """A state of the step, from which that of the loop starts."""
    frames = d.static(op.result.type, op)
    state = d.contexts.recurrent(held_type(frames), op.state) if streams else None
    axes = tuple((axis.role.value, axis.extent.value) for axis in frames.axes)
    value = d.builder.op(ScanState, state, axes=axes, state=op.state)
    d.values[op.result] = value
    name_like(value, op.result)
    return value if state is None else state


def _inside(d: Derivation, op: Op, timing: Timing | None) -> None:
    operands = d.defined(op, [None if value is None else d.values[value] for value in op.operands])
    attributes: Attributes = {name: substitute(value, d.sizes) for name, value in op.attributes.items()}
    results = d.emit(op, operands, attributes)
    if timing is not None:
        d.time(op, results, timing)
    for old, new in zip(op.results, results, strict=True):
        d.values[old] = new
        name_like(new, old)


def _closed(d: Derivation, loop: Loop, timing: Timing) -> tuple[Value, ...]:
    """The end of a loop; behind a delay some frames do not exist."""
    before, after, others = ([d.values[value] for value in part] for part in loop.close.parts)
    states = range(len(after) + len(others), len(loop.close.results))
    if timing.delay or (loop.role is d.role and d.streams and d.ends(loop.close, states)):
        valid, op = d.valid.at(d.frames(before[0]), timing.delay), d.builder.op
        after = [op("add", old, op("mul", op("sub", new, old), valid)) for old, new in zip(before, after)]
    return d.builder.emit(Scan, *before, *after, *others, states=len(before))
