"""The scan by doubling (Hillis & Steele, 1986): log2(T) stages over whole chunks.

Stage k combines each frame with the one 2**k before it: (a, b) after (a', b') is (a a', a b' + b). A shift is a
product with a constant 0/1 matrix; frames with nothing before them meet a decay of 0 and a drive of 0. Decays stay in
(0, 1], so nothing can overflow.
"""

from __future__ import annotations

import numpy as np

from mctc.ir.ops.elementwise import Add, Exp, Mul
from mctc.ir.ops.linear import MatMul
from mctc.ir.program import Value
from mctc.passes.selective_scan.operands import Form, Scan


def lower(scan: Scan) -> tuple[Value, Value]:
    """Output [1, D, 1, T] and new state [1, D, N, 1]."""
    b, frames = scan.rewriter, scan.frames
    delta = scan.size(scan.delta)
    decay = b.op(Exp, b.op(Mul, delta, scan.rates))
    state = b.op(Mul, b.op(Mul, delta, scan.x), scan.by_state(scan.B))
    if scan.h is not None:
        state = _with_incoming(scan, scan.h, decay, state)
    distance = 1
    while distance < frames:
        shift = b.constant(np.eye(frames, k=distance, dtype=np.float32))
        state = b.op(Add, b.op(Mul, decay, b.op(MatMul, state, shift)), state)
        if 2 * distance < frames:
            decay = b.op(Mul, decay, b.op(MatMul, decay, shift))
        distance *= 2
    return scan.readout(state)


def _with_incoming(scan: Scan, h: Value, decay: Value, state: Value) -> Value:
    """The drive with the incoming state h, decayed once, added to the first frame."""
    b = scan.rewriter
    first = np.zeros((1, scan.frames), np.float32)
    first[0, 0] = 1
    return b.op(Add, state, b.op(Mul, decay, b.op(MatMul, h, b.constant(first))))


FORM = Form(lower)
