"""The scan with channels last: full rows at any number of frames, and a state that is cut out of no larger value.

h(t) = exp(A * (delta(1) + ... + delta(t))) * h + g(t), where g is the scan of these frames alone:
g(t) = exp(A * delta(t)) * g(t-1) + drive(t) * B(t) and g(1) = drive(1) * B(1). What the incoming state decays to is
taken of sums of step sizes, which one product with a constant 0/1 matrix makes: a slow mode is rounded once a chunk,
as in the decay form, and only what came within the chunk goes from frame to frame.

The engine stores rows of 64 bytes. With frames last, eight of them fill a quarter of each and one fills a
thirty-second; channels fill all. Frames and channels change places in a product with a unit matrix, once on the way in
and once on the way out, so there is no transpose (ANE-LY-005).

Where the pass frames-first has laid the ops around the scan out like this, nothing changes places, and the state after
the last frame is a product and a sum of whole slabs, no slice of what is read: pack-states does both once for all
blocks.
"""

from __future__ import annotations

import numpy as np

from mctc.ir.build import Builder
from mctc.ir.op import Array
from mctc.ir.ops.convolution import Conv2d
from mctc.ir.ops.elementwise import Add, Exp, Mul
from mctc.ir.ops.linear import MatMul
from mctc.ir.ops.shape import Concat, Reshape, Slice, Split, Transpose
from mctc.ir.program import Value
from mctc.ir.types import TensorType
from mctc.passes.selective_scan.operands import Form, Scan

LAST, FIRST = (0, 2, 3, 1), (0, 3, 1, 2)
"""The order of a state's axes [1, D, 1, N] with channels last, and back."""


def lower(scan: Scan) -> tuple[Value, Value]:
    """Output [1, D, 1, T] and new state [1, 1, N, D]."""
    b = scan.rewriter
    x, delta, into, out = _frames_first(scan)
    delta = scan.size(delta)
    single, since = _decays(scan, delta)
    drives = _by_frame(b, b.op(MatMul, into, b.op(Mul, delta, x), transpose_left=True))  # of each frame [1, 1, N, D]
    history = [drives[0]]
    for decay, drive in zip(single, drives[1:]):
        history.append(b.op(Add, b.op(Mul, decay, history[-1]), drive))
    if scan.h is None or not since:
        return _channels_first(scan, _skipped(scan, b.op(MatMul, out, _joined(b, history)), x)), history[-1]
    kept = b.op(Mul, since[0], scan.h)
    if scan.frames == 1:
        state = b.op(Add, kept, history[0])
        return _channels_first(scan, _skipped(scan, b.op(MatMul, out, state), x)), state
    y = b.op(Add, b.op(MatMul, out, _joined(b, history)), b.op(MatMul, out, kept))
    last = b.op(Mul, since[1], scan.h) if len(since) > 1 else b.op(Slice, kept, axis=1, begin=scan.frames - 1)
    return _channels_first(scan, _skipped(scan, y, x)), b.op(Add, last, history[-1])


def sums(frames: int, carried: bool) -> Array:
    """0/1 matrix [rows, T]: a row for each step size from the second frame on; where a state comes in, one more for the
    sum of all up to each frame."""
    rows = [np.eye(frames, dtype=np.float32)[1:]]
    if carried:
        rows.append(np.tril(np.ones((frames, frames), np.float32)))
    return np.concatenate(rows)


def _frames_first(scan: Scan) -> tuple[Value, Value, Value, Value]:
    """x, delta [1, T, 1, D], B and C [1, T, 1, N]: joined, turned in one product with a unit matrix, and split. A
    single frame has nothing to turn, and joined it would be a column of rows of one entry."""
    b, frames, (channels, states) = scan.rewriter, scan.frames, (scan.channels, scan.states)
    by_state = _axes(scan, "feature", states)
    if scan.axis == 1:
        return scan.x, scan.delta, b.op(Reshape, scan.B, axes=by_state), b.op(Reshape, scan.C, axes=by_state)
    if frames == 1:
        wide = _axes(scan, "channel", channels)
        x, delta = b.op(Reshape, scan.x, axes=wide), b.op(Reshape, scan.delta, axes=wide)
        return x, delta, b.op(Reshape, scan.B, axes=by_state), b.op(Reshape, scan.C, axes=by_state)
    joined = b.op(Concat, scan.x, scan.delta, scan.B, scan.C, axis=1)
    width = 2 * (channels + states)
    rows = b.op(Reshape, joined, axes=(("batch", 1), ("unit", 1), ("feature", width), (scan.time, frames)))
    rows = b.op(Reshape, b.op(MatMul, _unit(scan), rows, transpose_right=True), axes=_axes(scan, "channel", width))
    x, delta, into, out = b.emit(Split, rows, sizes=(channels, channels, states, states), axis=3)
    return x, delta, b.op(Reshape, into, axes=by_state), b.op(Reshape, out, axes=by_state)


def _decays(scan: Scan, delta: Value) -> tuple[list[Value], list[Value]]:
    """exp(A * delta(t)) of each frame but the first; exp(A * (delta(1) + ... + delta(t))) of all, [1, T, N, D]. Where
    frames lie first, of the last one once more.
    """
    b, frames, carried = scan.rewriter, scan.frames, scan.h is not None
    again = carried and scan.axis == 1 and frames > 1
    matrix = sums(frames, carried)
    matrix = np.concatenate((matrix, matrix[-1:])) if again else matrix
    if not len(matrix):
        return [], []
    if frames > 1:  # a 1x1 convolution whose channels are frames
        axes = (("batch", 1), ("channel", frames), ("unit", 1), ("unit", scan.channels))
        delta = b.op(Conv2d, b.op(Reshape, delta, axes=axes), b.constant(matrix[..., None, None]))
    steps = b.op(Reshape, delta, axes=_axes(scan, "channel", scan.channels, len(matrix)))
    axes = (("unit", 1), ("unit", 1), ("feature", scan.states), ("channel", scan.channels))
    rates = b.op(Reshape, b.op(Transpose, scan.A, order=(1, 0)), axes=axes)
    decays = b.op(Exp, b.op(Mul, steps, rates))
    sizes = (*(1,) * (frames - 1), *((frames,) if carried else ()), *((1,) if again else ()))
    parts = b.emit(Split, decays, sizes=sizes, axis=1) if len(sizes) > 1 else (decays,)
    return list(parts[: frames - 1]), list(parts[frames - 1 :])


def _skipped(scan: Scan, y: Value, x: Value) -> Value:
    """y + D x, both [1, T, 1, D]."""
    if scan.D is None:
        return y
    b, axes = scan.rewriter, (("unit", 1), ("unit", 1), ("unit", 1), ("channel", scan.channels))
    return b.op(Add, y, b.op(Mul, x, b.op(Reshape, scan.D, axes=axes)))


def _channels_first(scan: Scan, y: Value) -> Value:
    """[1, D, 1, T] from [1, T, 1, D], unless x has frames first as well."""
    b, frames = scan.rewriter, scan.frames
    if scan.axis == 1:
        return b.reshaped(y, scan.x.type)
    if frames > 1:
        rows = (("batch", 1), ("unit", 1), (scan.time, frames), ("channel", scan.channels))
        y = b.op(MatMul, b.op(Reshape, y, axes=rows), _unit(scan), transpose_left=True)
    return b.op(Reshape, y, axes=(("batch", 1), ("channel", scan.channels), ("unit", 1), (scan.time, frames)))


def _axes(scan: Scan, role: str, width: int, rows: int | None = None) -> tuple[tuple[str, int], ...]:
    return (("batch", 1), (scan.time, rows or scan.frames), ("unit", 1), (role, width))


def _unit(scan: Scan) -> Value:
    return scan.rewriter.constant(np.eye(scan.frames, dtype=np.float32)[None, None])


def _joined(b: Builder, frames: list[Value]) -> Value:
    return b.op(Concat, *frames, axis=1) if len(frames) > 1 else frames[0]


def _by_frame(b: Builder, value: Value) -> tuple[Value, ...]:
    frames = value.type.shape[1]
    return b.emit(Split, value, parts=frames, axis=1) if frames > 1 else (value,)


def _read(state: Value, to: Builder) -> Value:
    """A state [1, D, 1, N] as [1, 1, N, D]; fold-state-reshapes keeps it so."""
    return to.op(Transpose, state, order=LAST)


def _written(state: Value, to: Builder, type_: TensorType) -> Value:
    by_state = type_.with_axes(type_.axes[at] for at in LAST)
    return to.op(Transpose, to.reshaped(state, by_state), order=FIRST)


FORM = Form(lower, _read, _written)
