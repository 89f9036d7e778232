"""The scan as a decay matrix over pairs of frames: no reshape, no mask, no running product.

h(t) = sum over s <= t of exp(A * (delta(s+1) + ... + delta(t))) * drive(s) * B(s); the incoming state is source -1.
The exponents are sums of the step sizes made by one product with a constant 0/1 matrix, so a slow mode is rounded once
a chunk and not once a frame: the most exact form in fp16. All exponents are <= 0. This is the 'segsum' of Mamba-2
(Dao & Gu, 2024, listing 1) written over the T(T+1)/2 + T pairs that exist rather than over a masked square.
"""

from __future__ import annotations

import numpy as np

from mctc.ir.op import Array
from mctc.ir.ops.elementwise import Exp, Mul
from mctc.ir.ops.linear import MatMul
from mctc.ir.ops.shape import Concat
from mctc.ir.program import Value
from mctc.passes.selective_scan.operands import Form, Scan


def pairs(frames: int, carried: bool) -> list[tuple[int, int]]:
    """(source, frame) of every contribution; source -1 is the incoming state."""
    return [(s, t) for t in range(frames) for s in range(-1 if carried else 0, t + 1)]


def matrices(frames: int, carried: bool) -> tuple[Array, Array, Array]:
    """0/1 matrices: exponents [T, P] sums step sizes, spread [sources, P] copies sources, collect [P, T] adds up."""
    all_pairs, first = pairs(frames, carried), -1 if carried else 0
    exponents = np.zeros((frames, len(all_pairs)), np.float32)
    spread = np.zeros((frames - first, len(all_pairs)), np.float32)
    collect = np.zeros((len(all_pairs), frames), np.float32)
    for p, (s, t) in enumerate(all_pairs):
        exponents[s + 1 : t + 1, p] = 1
        spread[s - first, p] = 1
        collect[p, t] = 1
    return exponents, spread, collect


def lower(scan: Scan) -> tuple[Value, Value]:
    """Output [1, D, 1, T] and new state [1, D, N, 1]."""
    b = scan.rewriter
    exponents, spread, collect = (b.constant(m) for m in matrices(scan.frames, scan.h is not None))
    delta = scan.size(scan.delta)
    log_decay = b.op(Mul, b.op(MatMul, delta, exponents), scan.rates)
    sources = b.op(Mul, b.op(Mul, delta, scan.x), scan.by_state(scan.B))
    if scan.h is not None:
        sources = b.op(Concat, scan.h, sources, axis=3)
    contributions = b.op(Mul, b.op(Exp, log_decay), b.op(MatMul, sources, spread))
    return scan.readout(b.op(MatMul, contributions, collect))


FORM = Form(lower)
