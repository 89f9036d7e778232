"""The scan frame by frame: the definition itself, two small products and a sum for each frame."""

from __future__ import annotations

from mctc.ir.ops.elementwise import Add, Exp, Mul
from mctc.ir.ops.reduce import ReduceSum
from mctc.ir.ops.shape import Concat, Split
from mctc.ir.program import Value
from mctc.passes.selective_scan.operands import Form, Scan


def lower(scan: Scan) -> tuple[Value, Value]:
    """Output [1, D, 1, T] and new state [1, D, N, 1]."""
    b, frames = scan.rewriter, scan.frames
    delta = scan.size(scan.delta)
    decay = b.op(Exp, b.op(Mul, delta, scan.rates))
    drive = b.op(Mul, b.op(Mul, delta, scan.x), scan.by_state(scan.B))
    decays, drives = (
        (value,) if frames == 1 else b.emit(Split, value, parts=frames, axis=3) for value in (decay, drive)
    )
    state, history = scan.h, []
    for a, u in zip(decays, drives):
        state = u if state is None else b.op(Add, b.op(Mul, a, state), u)
        history.append(state)
    y = b.op(
        ReduceSum,
        b.op(Mul, b.op(Concat, *history, axis=3) if frames > 1 else history[0], scan.by_state(scan.C)),
        axis=2,
    )
    return scan.skipped(y), history[-1]


FORM = Form(lower)
