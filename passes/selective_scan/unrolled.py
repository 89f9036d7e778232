"""The scan frame by frame: the definition itself, two small products and a sum for each frame."""

from __future__ import annotations

from mctc.ir.program import Value
from mctc.passes.selective_scan.operands import Scan


def lower(scan: Scan) -> tuple[Value, Value]:
    """Output [1, D, 1, T] and new state [1, D, N, 1]."""
    b, frames = scan.rewriter, scan.frames
    decay = b.op("exp", b.op("mul", scan.delta, scan.A))
    drive = b.op("mul", scan.drive, scan.B)
    decays, drives = (
        (value,) if frames == 1 else b.emit("split", value, parts=frames, axis=3) for value in (decay, drive)
    )
    state, history = scan.h, []
    for a, u in zip(decays, drives):
        state = u if state is None else b.op("add", b.op("mul", a, state), u)
        history.append(state)
    y = b.op("reduce_sum", b.op("mul", b.op("concat", *history, axis=3) if frames > 1 else history[0], scan.C), axis=2)
    return y, history[-1]
