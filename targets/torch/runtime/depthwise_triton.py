"""A causal convolution of each channel by itself on NVIDIA GPUs, and its gradients."""

# ruff: noqa: N803 - what is known when a kernel is compiled is written in capitals
# mypy: ignore-errors
# Triton reads the kernels' source: what looks like Python in them is not.

from __future__ import annotations

import triton  # noqa: MPS008 - imported where there is CUDA
import triton.language as tl  # noqa: MPS008


@triton.jit
def forward(
    x, weight, bias, y, x_batch, x_channel, channels, length,
    TAPS: tl.constexpr, HAS_BIAS: tl.constexpr, ROWS: tl.constexpr, FRAMES: tl.constexpr,
):  # fmt: skip
    """y[t] = bias + sum over k of weight[k] x[t + k - (TAPS - 1)]. Grid: (blocks of frames, of channels, batch)."""
    rows = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    frames = tl.program_id(0) * FRAMES + tl.arange(0, FRAMES)
    batch = tl.program_id(2).to(tl.int64)
    real = rows < channels
    total = tl.zeros((ROWS, FRAMES), tl.float32)
    if HAS_BIAS:
        total += tl.load(bias + rows, mask=real, other=0.0).to(tl.float32)[:, None]
    of_rows = x + batch * x_batch + rows[:, None] * x_channel
    for k in tl.static_range(TAPS):
        at = frames + (k - TAPS + 1)
        inside = (at >= 0) & (at < length)
        tap = tl.load(weight + rows * TAPS + k, mask=real, other=0.0).to(tl.float32)
        total += tap[:, None] * tl.load(of_rows + at[None, :], mask=real[:, None] & inside[None, :], other=0.0)
    to = y + (batch * channels + rows[:, None]) * length + frames[None, :]
    tl.store(to, total.to(y.dtype.element_ty), mask=real[:, None] & (frames < length)[None, :])


@triton.jit
def backward(
    dy, x, weight, dx, parts, dy_batch, dy_channel, x_batch, x_channel, channels, length, blocks,
    TAPS: tl.constexpr, COLUMNS: tl.constexpr, ROWS: tl.constexpr, FRAMES: tl.constexpr,
):  # fmt: skip
    """dx, and of the taps and then the bias a part for each block: (batch * blocks, channels, COLUMNS)."""
    rows = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    frames = tl.program_id(0) * FRAMES + tl.arange(0, FRAMES)
    batch = tl.program_id(2).to(tl.int64)
    real = rows < channels
    of_dy = dy + batch * dy_batch + rows[:, None] * dy_channel
    of_x = x + batch * x_batch + rows[:, None] * x_channel
    here = tl.load(of_dy + frames[None, :], mask=real[:, None] & (frames < length)[None, :], other=0.0).to(tl.float32)
    columns = tl.arange(0, COLUMNS)
    sums = tl.where(columns[None, :] == TAPS, tl.sum(here, 1)[:, None], 0.0)
    total = tl.zeros((ROWS, FRAMES), tl.float32)
    for k in tl.static_range(TAPS):
        before, after = frames + (k - TAPS + 1), frames + (TAPS - 1 - k)
        seen = (before >= 0) & (before < length)
        read = tl.load(of_x + before[None, :], mask=real[:, None] & seen[None, :], other=0.0).to(tl.float32)
        sums += tl.where(columns[None, :] == k, tl.sum(here * read, 1)[:, None], 0.0)
        tap = tl.load(weight + rows * TAPS + k, mask=real, other=0.0).to(tl.float32)
        felt = tl.load(of_dy + after[None, :], mask=real[:, None] & (after < length)[None, :], other=0.0)
        total += tap[:, None] * felt
    to = dx + (batch * channels + rows[:, None]) * length + frames[None, :]
    tl.store(to, total.to(dx.dtype.element_ty), mask=real[:, None] & (frames < length)[None, :])
    of_part = parts + ((batch * blocks + tl.program_id(0)) * channels + rows[:, None]) * COLUMNS + columns[None, :]
    tl.store(of_part, sums, mask=real[:, None])
