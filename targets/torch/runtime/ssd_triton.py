"""The scan of Mamba-2 on NVIDIA GPUs: Triton kernels, whose matrix products run on tensor cores.

Time is cut into chunks of Q frames; a state goes from each to the next. With a(t) the log decay of frame t, w(t) its
weight, S the running sum of a in the chunk, L[s, t] = exp(S(t) - S(s)) for s <= t, G[s, t] = B(s) . C(t) and h the
state before the chunk (Dao & Gu, 2024, section 6):

    y(t) = sum over s of G[s, t] L[s, t] w(s) x(s) + exp(S(t)) h C(t) + D x(t)
    h'   = exp(S(Q)) h + sum over s of exp(S(Q) - S(s)) w(s) x(s) B(s)^T

`sweep` goes over the chunks of a segment of time, one head a program; segments run side by side where there are few
heads. `gradients` takes all chunks side by side, from the states before them and the gradients of those after them.
No atomics: what is summed over programs leaves as parts, so that results repeat bit for bit.
"""

# ruff: noqa: N803, N806 - the names of the paper
# mypy: ignore-errors
# Triton reads the kernels' source: what looks like Python in them is not.

from __future__ import annotations

import triton  # noqa: MPS008 - imported where there is CUDA
import triton.language as tl  # noqa: MPS008

LOG2_E = tl.constexpr(1.4426950408889634)
LEAST = tl.constexpr(-30.0)  # of a log2 decay: one frame forgets to 1e-9, and sums of 64 or 128 keep their precision


@triton.jit
def tile(base, rows, row_stride, frames, real, inside):
    """(rows, frames) of a tensor whose frames lie side by side, zeros outside."""
    return tl.load(base + rows[:, None] * row_stride + frames[None, :], mask=real[:, None] & inside[None, :], other=0.0)


@triton.jit
def log2_decay(decay, weights, frames, inside, PER_HEAD: tl.constexpr):
    """Of each frame: of A and the frame's weight, or as it is given."""
    if PER_HEAD:
        a = tl.load(decay).to(tl.float32) * weights
    else:
        a = tl.load(decay + frames, mask=inside, other=0.0).to(tl.float32)
    return tl.maximum(a * LOG2_E, LEAST)


@triton.jit
def sweep(
    x, weight, decay, B, C, D, first, ends, totals, y, last, stored,
    x_batch, x_channel, w_batch, w_head, a_batch, a_head, b_batch, b_row, c_batch, c_row, y_batch, y_channel,
    length, heads, heads_of_group, segments, chunks_of_segment, chunks,
    P: tl.constexpr, N: tl.constexpr, ROWS: tl.constexpr, STATES: tl.constexpr, Q: tl.constexpr,
    ALIGN: tl.constexpr, PER_HEAD: tl.constexpr, HAS_D: tl.constexpr, HAS_FIRST: tl.constexpr,
    REVERSED: tl.constexpr, ENDS: tl.constexpr, OUTPUT: tl.constexpr, STORE: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """The states over the chunks of a segment; with REVERSED their gradients, from dy in the place of x.

    ENDS: from zeros, leaves what the segment adds to the state behind it in `ends` (batch, segment, head, P, N) and its
    log2 decay in `totals` (batch, segment, head). Else: starts from `first` and all ends before; OUTPUT: writes y;
    STORE: the state before (REVERSED: its gradient after) each chunk to `stored` (batch, chunk, head, P, N).
    Grid: (segments * blocks of ROWS channels, heads, batch). Strides and length count ALIGN elements.
    """
    blocks: tl.constexpr = (P + ROWS - 1) // ROWS
    segment = tl.program_id(0) // blocks
    block = tl.program_id(0) % blocks
    head = tl.program_id(1)
    batch = tl.program_id(2).to(tl.int64)
    group = (head // heads_of_group).to(tl.int64)
    length = length * ALIGN
    if ENDS and REVERSED:
        segment += 1
    rows = block * ROWS + tl.arange(0, ROWS)
    states = tl.arange(0, STATES)
    is_row, is_state = rows < P, states < N
    wide_head = head.to(tl.int64)
    x += batch * (x_batch * ALIGN) + wide_head * P * (x_channel * ALIGN)
    weight += batch * w_batch + wide_head * w_head
    decay += wide_head if PER_HEAD else batch * a_batch + wide_head * a_head
    B += batch * (b_batch * ALIGN) + group * N * (b_row * ALIGN)
    C += batch * (c_batch * ALIGN) + group * N * (c_row * ALIGN)
    y += batch * (y_batch * ALIGN) + wide_head * P * (y_channel * ALIGN)
    at = rows[:, None] * N + states[None, :]
    real = is_row[:, None] & is_state[None, :]
    of_batch = (batch * heads + head) * P * N

    h = tl.zeros((ROWS, STATES), tl.float32)
    if not ENDS:
        if HAS_FIRST:
            h += tl.load(first + of_batch + at, mask=real, other=0.0).to(tl.float32)
        before = segments - 1 - segment if REVERSED else segment
        for i in range(before):
            j = segments - 1 - i if REVERSED else i
            of_segment = (batch * segments + j) * heads + head
            total = tl.load(totals + of_segment)
            h = h * tl.exp2(total) + tl.load(ends + of_segment * P * N + at, mask=real, other=0.0)

    sum_of_segment = 0.0
    begin = segment * chunks_of_segment
    count = tl.minimum(chunks_of_segment, chunks - begin)
    for i in range(count):
        chunk = begin + (count - 1 - i if REVERSED else i)
        frames = chunk * Q + tl.arange(0, Q)
        inside = frames < length
        w = tl.load(weight + frames, mask=inside, other=0.0).to(tl.float32)
        a = log2_decay(decay, w, frames, inside, PER_HEAD)
        a = tl.where(inside, a, 0.0)
        run = tl.cumsum(a, 0)
        total = tl.sum(a, 0)
        signal = tile(x, rows, x_channel * ALIGN, frames, is_row, inside)
        if STORE:
            of_chunk = ((batch * chunks + chunk) * heads + head) * P * N
            tl.store(stored + of_chunk + at, h.to(stored.dtype.element_ty), mask=real)
        if REVERSED:
            matrix = tile(C, states, c_row * ALIGN, frames, is_state, inside)
            scaled = signal * tl.exp2(run)[None, :]
        else:
            matrix = tile(B, states, b_row * ALIGN, frames, is_state, inside)
            scaled = signal * (w * tl.exp2(total - run))[None, :]
        if OUTPUT:
            c = tile(C, states, c_row * ALIGN, frames, is_state, inside)
            scores = tl.dot(tl.trans(matrix), c, input_precision=PRECISION)
            causal = tl.arange(0, Q)[:, None] <= tl.arange(0, Q)[None, :]
            scores *= tl.exp2(tl.where(causal, run[None, :] - run[:, None], float("-inf"))) * w[:, None]
            out = tl.dot(h.to(c.dtype), c, input_precision=PRECISION) * tl.exp2(run)[None, :]
            out = tl.dot(signal, scores.to(signal.dtype), out, input_precision=PRECISION)
            if HAS_D:
                out += tl.load(D + head) * signal.to(tl.float32)
            to = y + rows[:, None] * (y_channel * ALIGN) + frames[None, :]
            tl.store(to, out.to(y.dtype.element_ty), mask=is_row[:, None] & inside[None, :])
        h = h * tl.exp2(total)
        h = tl.dot(scaled.to(matrix.dtype), tl.trans(matrix), h, input_precision=PRECISION)
        sum_of_segment += total

    if ENDS:
        of_segment = (batch * segments + segment) * heads + head
        tl.store(ends + of_segment * P * N + at, h, mask=real)
        tl.store(totals + of_segment, sum_of_segment)
    else:
        final = 0 if REVERSED else segments - 1
        if segment == final:
            tl.store(last + of_batch + at, h, mask=real)


@triton.jit
def gradients(
    dy, x, weight, decay, B, C, D, before, after, dx, dweight, ddecay, dB, dC, dA_parts, dD_parts,
    dy_batch, dy_channel, x_batch, x_channel, w_batch, w_head, a_batch, a_head, b_batch, b_row, c_batch, c_row,
    dx_batch, dx_channel, db_part, db_batch, db_row, dw_batch, dw_head,
    length, heads, heads_of_group, splits, chunks,
    P: tl.constexpr, N: tl.constexpr, ROWS: tl.constexpr, STATES: tl.constexpr, Q: tl.constexpr,
    ALIGN: tl.constexpr, PER_HEAD: tl.constexpr, HAS_D: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """All gradients of a chunk, from the states before it and the gradients of the state after it.

    A program takes the heads of a group, or one of `splits` equal parts of them, one after the other: what B and C get
    is summed over them, and leaves as a part. dA_parts and dD_parts: (batch, chunk, head).
    Grid: (chunks, groups * splits, batch).
    """
    chunk = tl.program_id(0)
    group = (tl.program_id(1) // splits).to(tl.int64)
    split = tl.program_id(1) % splits
    batch = tl.program_id(2).to(tl.int64)
    length = length * ALIGN
    rows, states = tl.arange(0, ROWS), tl.arange(0, STATES)
    is_row, is_state = rows < P, states < N
    frames = chunk * Q + tl.arange(0, Q)
    inside = frames < length
    causal = tl.arange(0, Q)[:, None] <= tl.arange(0, Q)[None, :]
    diagonal = tl.arange(0, Q)[:, None] == tl.arange(0, Q)[None, :]
    at = rows[:, None] * N + states[None, :]
    real = is_row[:, None] & is_state[None, :]

    B += batch * (b_batch * ALIGN) + group * N * (b_row * ALIGN)
    C += batch * (c_batch * ALIGN) + group * N * (c_row * ALIGN)
    b = tile(B, states, b_row * ALIGN, frames, is_state, inside)
    c = tile(C, states, c_row * ALIGN, frames, is_state, inside)
    products = tl.dot(tl.trans(b), c, input_precision=PRECISION)  # [s, t]

    pairs = tl.zeros((Q, Q), tl.float32)  # gradient of B(s) . C(t), over the heads
    db = tl.zeros((STATES, Q), tl.float32)
    dc = tl.zeros((STATES, Q), tl.float32)
    heads_of_split = heads_of_group // splits
    for i in range(heads_of_split):
        head = group * heads_of_group + split * heads_of_split + i
        w = tl.load(weight + batch * w_batch + head * w_head + frames, mask=inside, other=0.0).to(tl.float32)
        decay_of_head = decay + (head if PER_HEAD else batch * a_batch + head * a_head)
        a = log2_decay(decay_of_head, w, frames, inside, PER_HEAD)
        kept = inside & (a > LEAST)
        a = tl.where(inside, a, 0.0)
        run = tl.cumsum(a, 0)
        total = tl.sum(a, 0)
        since, rest = tl.exp2(run), tl.exp2(total - run)
        between = tl.exp2(tl.where(causal, run[None, :] - run[:, None], float("-inf")))
        of_x = x + batch * (x_batch * ALIGN) + head * P * (x_channel * ALIGN)
        of_dy = dy + batch * (dy_batch * ALIGN) + head * P * (dy_channel * ALIGN)
        signal = tile(of_x, rows, x_channel * ALIGN, frames, is_row, inside)
        upstream = tile(of_dy, rows, dy_channel * ALIGN, frames, is_row, inside)
        of_chunk = ((batch * chunks + chunk) * heads + head) * P * N
        h = tl.load(before + of_chunk + at, mask=real, other=0.0)
        dh = tl.load(after + of_chunk + at, mask=real, other=0.0)

        pair = tl.dot(tl.trans(signal), upstream, input_precision=PRECISION) * between * w[:, None]
        pairs += pair
        crossing = tl.where(diagonal, 0.0, pair * products)
        into_last = tl.dot(tl.trans(dh.to(signal.dtype)), signal, input_precision=PRECISION)  # [n, s]
        db += into_last * (w * rest)[None, :]
        kept_to_end = tl.sum(into_last * b, 0) * w * rest
        from_first = tl.dot(tl.trans(h.to(upstream.dtype)), upstream, input_precision=PRECISION)  # [n, t]
        dc += from_first * since[None, :]
        step = tl.sum(crossing, 0) - tl.sum(crossing, 1) + tl.sum(from_first * c, 0) * since - kept_to_end
        whole = tl.exp2(total) * tl.sum(tl.sum(dh.to(tl.float32) * h.to(tl.float32), 1), 0) + tl.sum(kept_to_end, 0)
        da = tl.where(kept, tl.cumsum(step, 0, reverse=True) + whole, 0.0)

        drive = tl.dot(dh.to(b.dtype), b, input_precision=PRECISION) * rest[None, :]  # gradient of w(s) x(s)
        scores = (products * between).to(upstream.dtype)
        drive = tl.dot(upstream, tl.trans(scores), drive, input_precision=PRECISION)
        dw = tl.sum(drive * signal, 0)
        out = drive * w[None, :]
        of_frames = batch * dw_batch + head * dw_head + frames
        of_parts = (batch * chunks + chunk) * heads + head
        if HAS_D:
            out += tl.load(D + head) * upstream.to(tl.float32)
            skipped = tl.sum(tl.sum(signal.to(tl.float32) * upstream.to(tl.float32), 1), 0)
            tl.store(dD_parts + of_parts, skipped)
        if PER_HEAD:
            dw += tl.load(decay_of_head).to(tl.float32) * da
            tl.store(dA_parts + of_parts, tl.sum(da * w, 0))
        else:
            tl.store(ddecay + of_frames, da.to(ddecay.dtype.element_ty), mask=inside)
        tl.store(dweight + of_frames, dw.to(dweight.dtype.element_ty), mask=inside)
        of_dx = dx + batch * (dx_batch * ALIGN) + head * P * (dx_channel * ALIGN)
        to = of_dx + rows[:, None] * (dx_channel * ALIGN) + frames[None, :]
        tl.store(to, out.to(dx.dtype.element_ty), mask=is_row[:, None] & inside[None, :])

    shared = pairs.to(b.dtype)
    db = tl.dot(c, tl.trans(shared), db, input_precision=PRECISION)
    dc = tl.dot(b, shared, dc, input_precision=PRECISION)
    part = split * (db_part * ALIGN) + batch * (db_batch * ALIGN) + group * N * (db_row * ALIGN)
    to_part = part + states[:, None] * (db_row * ALIGN) + frames[None, :]
    tl.store(dB + to_part, db.to(dB.dtype.element_ty), mask=is_state[:, None] & inside[None, :])
    tl.store(dC + to_part, dc.to(dC.dtype.element_ty), mask=is_state[:, None] & inside[None, :])


@triton.jit
def frame_gradients(
    dy, x, weight, decay, B, C, D, before, after, dx, dweight, ddecay, dA_parts, dD_parts,
    dy_batch, dy_channel, x_batch, x_channel, w_batch, w_head, a_batch, a_head, b_batch, b_row, c_batch, c_row,
    dx_batch, dx_channel, dw_batch, dw_head, length, heads, heads_of_group, chunks,
    P: tl.constexpr, N: tl.constexpr, ROWS: tl.constexpr, STATES: tl.constexpr, Q: tl.constexpr,
    ALIGN: tl.constexpr, PER_HEAD: tl.constexpr, HAS_D: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Of a chunk and a head: the gradients of x, weight, decay, A and D. Grid: (chunks, heads, batch)."""
    chunk = tl.program_id(0)
    head = tl.program_id(1).to(tl.int64)
    batch = tl.program_id(2).to(tl.int64)
    group = head // heads_of_group
    length = length * ALIGN
    rows, states = tl.arange(0, ROWS), tl.arange(0, STATES)
    is_row, is_state = rows < P, states < N
    frames = chunk * Q + tl.arange(0, Q)
    inside = frames < length
    causal = tl.arange(0, Q)[:, None] <= tl.arange(0, Q)[None, :]
    diagonal = tl.arange(0, Q)[:, None] == tl.arange(0, Q)[None, :]
    at = rows[:, None] * N + states[None, :]
    real = is_row[:, None] & is_state[None, :]
    of_parts = (batch * chunks + chunk) * heads + head

    w = tl.load(weight + batch * w_batch + head * w_head + frames, mask=inside, other=0.0).to(tl.float32)
    decay += head if PER_HEAD else batch * a_batch + head * a_head
    a = log2_decay(decay, w, frames, inside, PER_HEAD)
    kept = inside & (a > LEAST)
    a = tl.where(inside, a, 0.0)
    run = tl.cumsum(a, 0)
    total = tl.sum(a, 0)
    b = tile(
        B + batch * (b_batch * ALIGN) + group * N * (b_row * ALIGN), states, b_row * ALIGN, frames, is_state, inside
    )
    dh = tl.load(after + of_parts * P * N + at, mask=real, other=0.0)
    signal = tile(
        x + batch * (x_batch * ALIGN) + head * P * (x_channel * ALIGN), rows, x_channel * ALIGN, frames, is_row, inside
    )
    drive = tl.dot(dh.to(b.dtype), b, input_precision=PRECISION) * tl.exp2(total - run)[None, :]
    to_end = tl.sum(drive * signal, 0) * w  # what a frame hands to the state after the chunk, times its gradient
    h = tl.load(before + of_parts * P * N + at, mask=real, other=0.0)
    whole = tl.exp2(total) * tl.sum(tl.sum(dh.to(tl.float32) * h.to(tl.float32), 1), 0) + tl.sum(to_end, 0)
    c = tile(
        C + batch * (c_batch * ALIGN) + group * N * (c_row * ALIGN), states, c_row * ALIGN, frames, is_state, inside
    )
    upstream = tile(
        dy + batch * (dy_batch * ALIGN) + head * P * (dy_channel * ALIGN),
        rows,
        dy_channel * ALIGN,
        frames,
        is_row,
        inside,
    )
    from_first = tl.dot(h.to(c.dtype), c, input_precision=PRECISION)  # [p, t]
    step = tl.sum(from_first * upstream, 0) * tl.exp2(run) - to_end
    scores = tl.dot(tl.trans(b), c, input_precision=PRECISION)  # [s, t]
    scores *= tl.exp2(tl.where(causal, run[None, :] - run[:, None], float("-inf")))
    drive = tl.dot(upstream, tl.trans(scores.to(upstream.dtype)), drive, input_precision=PRECISION)
    pair = tl.dot(tl.trans(signal), upstream, input_precision=PRECISION)
    crossing = tl.where(diagonal, 0.0, pair * scores * w[:, None])
    step += tl.sum(crossing, 0) - tl.sum(crossing, 1)
    da = tl.where(kept, tl.cumsum(step, 0, reverse=True) + whole, 0.0)
    dw = tl.sum(drive * signal, 0)
    out = drive * w[None, :]
    if HAS_D:
        out += tl.load(D + head) * upstream.to(tl.float32)
        tl.store(dD_parts + of_parts, tl.sum(tl.sum(signal.to(tl.float32) * upstream.to(tl.float32), 1), 0))
    of_frames = batch * dw_batch + head * dw_head + frames
    if PER_HEAD:
        dw += tl.load(decay).to(tl.float32) * da
        tl.store(dA_parts + of_parts, tl.sum(da * w, 0))
    else:
        tl.store(ddecay + of_frames, da.to(ddecay.dtype.element_ty), mask=inside)
    tl.store(dweight + of_frames, dw.to(dweight.dtype.element_ty), mask=inside)
    to = dx + batch * (dx_batch * ALIGN) + head * P * (dx_channel * ALIGN)
    to += rows[:, None] * (dx_channel * ALIGN) + frames[None, :]
    tl.store(to, out.to(dx.dtype.element_ty), mask=is_row[:, None] & inside[None, :])


@triton.jit
def matrix_gradients(
    dy, x, weight, decay, B, C, before, after, dB, dC,
    dy_batch, dy_channel, x_batch, x_channel, w_batch, w_head, a_batch, a_head, b_batch, b_row, c_batch, c_row,
    db_part, db_batch, db_row, length, heads, heads_of_group, splits, chunks,
    P: tl.constexpr, N: tl.constexpr, ROWS: tl.constexpr, STATES: tl.constexpr, Q: tl.constexpr,
    ALIGN: tl.constexpr, PER_HEAD: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Of a chunk: the gradients of B and C, over the heads of a group or one of `splits` equal parts of them, one after
    the other. Grid: (chunks, groups * splits, batch)."""
    chunk = tl.program_id(0)
    group = (tl.program_id(1) // splits).to(tl.int64)
    split = tl.program_id(1) % splits
    batch = tl.program_id(2).to(tl.int64)
    length = length * ALIGN
    rows, states = tl.arange(0, ROWS), tl.arange(0, STATES)
    is_row, is_state = rows < P, states < N
    frames = chunk * Q + tl.arange(0, Q)
    inside = frames < length
    causal = tl.arange(0, Q)[:, None] <= tl.arange(0, Q)[None, :]
    at = rows[:, None] * N + states[None, :]
    real = is_row[:, None] & is_state[None, :]

    pairs = tl.zeros((Q, Q), tl.float32)  # gradient of B(s) . C(t), over the heads
    db = tl.zeros((STATES, Q), tl.float32)
    dc = tl.zeros((STATES, Q), tl.float32)
    heads_of_split = heads_of_group // splits
    for i in range(heads_of_split):
        head = group * heads_of_group + split * heads_of_split + i
        w = tl.load(weight + batch * w_batch + head * w_head + frames, mask=inside, other=0.0).to(tl.float32)
        decay_of_head = decay + (head if PER_HEAD else batch * a_batch + head * a_head)
        a = tl.where(inside, log2_decay(decay_of_head, w, frames, inside, PER_HEAD), 0.0)
        run = tl.cumsum(a, 0)
        of_x = x + batch * (x_batch * ALIGN) + head * P * (x_channel * ALIGN)
        of_dy = dy + batch * (dy_batch * ALIGN) + head * P * (dy_channel * ALIGN)
        signal = tile(of_x, rows, x_channel * ALIGN, frames, is_row, inside)
        upstream = tile(of_dy, rows, dy_channel * ALIGN, frames, is_row, inside)
        of_chunk = ((batch * chunks + chunk) * heads + head) * P * N
        h = tl.load(before + of_chunk + at, mask=real, other=0.0)
        dh = tl.load(after + of_chunk + at, mask=real, other=0.0)
        between = tl.exp2(tl.where(causal, run[None, :] - run[:, None], float("-inf")))
        pairs += tl.dot(tl.trans(signal), upstream, input_precision=PRECISION) * between * w[:, None]
        sent = (signal * (w * tl.exp2(tl.sum(a, 0) - run))[None, :]).to(signal.dtype)
        db = tl.dot(tl.trans(dh.to(sent.dtype)), sent, db, input_precision=PRECISION)
        heard = (upstream * tl.exp2(run)[None, :]).to(upstream.dtype)
        dc = tl.dot(tl.trans(h.to(heard.dtype)), heard, dc, input_precision=PRECISION)

    b = tile(
        B + batch * (b_batch * ALIGN) + group * N * (b_row * ALIGN), states, b_row * ALIGN, frames, is_state, inside
    )
    c = tile(
        C + batch * (c_batch * ALIGN) + group * N * (c_row * ALIGN), states, c_row * ALIGN, frames, is_state, inside
    )
    shared = pairs.to(b.dtype)
    db = tl.dot(c, tl.trans(shared), db, input_precision=PRECISION)
    dc = tl.dot(b, shared, dc, input_precision=PRECISION)
    part = split * (db_part * ALIGN) + batch * (db_batch * ALIGN) + group * N * (db_row * ALIGN)
    to_part = part + states[:, None] * (db_row * ALIGN) + frames[None, :]
    tl.store(dB + to_part, db.to(dB.dtype.element_ty), mask=is_state[:, None] & inside[None, :])
    tl.store(dC + to_part, dc.to(dC.dtype.element_ty), mask=is_state[:, None] & inside[None, :])
