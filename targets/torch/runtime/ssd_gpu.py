"""Launches ssd_triton.py: `mctc::ssd` and its backward on NVIDIA GPUs."""

# ruff: noqa: N803, N806 - the names of the paper

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .ssd_sizes import Sizes
from .triton_there import triton_runs

# Bytes of a head's state (P * N, padded) in the type of x: the largest that was measured. The kernels' tiles then take
# at most 100 KB of shared memory, which all GPUs from compute capability 8.0 on have.
LARGEST_STATE = 16384
MOST_SEGMENTS = 64  # each works out its first state from those before it


@dataclass(frozen=True)
class Tuning:
    """How the kernels are spread. Measured with bench/gpu/ssd_tune.py."""

    frames: int = 64
    """Of a chunk."""
    rows: int = 64
    """Most channels of a head that one program of the forward pass takes."""
    warps: int = 4
    stages: int = 2
    gradient_warps: int = 8
    gradient_stages: int = 1
    frame_warps: int = 8
    fused: bool = False
    """Whether one kernel finds all gradients, or one those of a head and another those that heads share."""
    fill: float = 2.0
    """Programs a multiprocessor that the passes over time are cut into segments for."""
    gradient_fill: float = 2.0
    keep: bool = True
    """Whether the forward pass of training stores the state before each chunk, or the backward pass finds it again."""


TUNING = Tuning()


def supports(x: Tensor, sizes: Sizes) -> bool:
    """Whether the kernels take it: on a device that runs them, with a state of at most LARGEST_STATE."""
    if x.dtype == torch.float64 or x.numel() == 0 or not triton_runs(x.device):
        return False
    return _padded(sizes.width) * _padded(sizes.states) * x.element_size() <= LARGEST_STATE


def forward(
    x: Tensor, weight: Tensor, decay: Tensor, B: Tensor, C: Tensor, D: Tensor | None, h: Tensor | None,
    groups: int, keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """y, the state after the last frame, and the states before each chunk where `keep`, else nothing."""
    call = _Call(x, weight, decay, B, C, groups)
    y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    last = call.wide(*_state_shape(x, call.sizes))
    stored = call.stored() if keep and TUNING.keep else x.new_empty(0)
    call.sweep(x, h, last, y=y, D=D, stored=stored if stored.numel() else None)
    return y, last, stored


def backward(
    dy: Tensor, dlast: Tensor, x: Tensor, weight: Tensor, decay: Tensor, B: Tensor, C: Tensor, D: Tensor | None,
    h: Tensor | None, stored: Tensor, groups: int,
) -> tuple[Tensor, ...]:  # fmt: skip
    """The gradients of x, weight, decay, B, C, D and h, empty where there was no input."""
    call = _Call(x, weight, decay, B, C, groups)
    before = stored
    if not stored.numel():
        before = call.stored()
        call.sweep(x, h, call.wide(*_state_shape(x, call.sizes)), stored=before)
    after, dh = call.stored(), call.wide(*_state_shape(x, call.sizes))
    call.sweep(dy, dlast, dh, stored=after, is_reversed=True)
    gradients = call.gradients(dy, D, before, after)
    return (*gradients, x.new_empty(0) if h is None else dh)


class _Call:
    """What the launches of one call share."""

    def __init__(self, x: Tensor, weight: Tensor, decay: Tensor, B: Tensor, C: Tensor, groups: int) -> None:
        self.x, self.weight, self.decay, self.B, self.C = x, weight, decay, B, C
        self.batch, _, self.length = x.shape
        self.groups = groups
        self.sizes = Sizes.of(x, weight, B, groups)
        self.per_head = decay.dim() == 1
        self.chunks = -(-self.length // TUNING.frames)
        self.processors = _processors(x.device)
        self.precision = "tf32" if torch.backends.cuda.matmul.allow_tf32 else "tf32x3"
        self.decay_strides = (0, 0) if self.per_head else decay.stride()[:2]

    def wide(self, *shape: int) -> Tensor:
        return self.x.new_empty(shape, dtype=torch.float32)

    def stored(self) -> Tensor:
        """Room for a state of each chunk."""
        n = self.sizes
        return self.x.new_empty(self.batch, self.chunks, n.heads, n.width, n.states)

    def sweep(
        self, signal: Tensor, first: Tensor | None, last: Tensor, *, y: Tensor | None = None, D: Tensor | None = None,
        stored: Tensor | None = None, is_reversed: bool = False,
    ) -> None:  # fmt: skip
        """Over all chunks of time, in segments that run side by side where heads alone don't fill the device."""
        kernel, n = _kernels().sweep, self.sizes
        rows = min(_padded(n.width), TUNING.rows)
        blocks = -(-n.width // rows)
        programs = self.batch * n.heads * blocks
        wanted = max(1, min(MOST_SEGMENTS, self.chunks, round(TUNING.fill * self.processors / programs)))
        of_segment = -(-self.chunks // wanted)
        segments = -(-self.chunks // of_segment)
        align = _alignment(self.length, signal, self.B, self.C, *([] if y is None else [y]))
        ends = totals = last
        if segments > 1:
            ends = self.wide(self.batch, segments, n.heads, n.width, n.states)
            totals = self.wide(self.batch, segments, n.heads)
        out = signal if y is None else y
        shared = (
            signal, self.weight, self.decay, self.B, self.C, self.weight if D is None else D,
            last if first is None else first, ends, totals, out, last, signal if stored is None else stored,
            *_strides(signal, align), *self.weight.stride()[:2], *self.decay_strides, *_strides(self.B, align),
            *_strides(self.C, align), *_strides(out, align), self.length // align, n.heads, n.heads // self.groups,
            segments, of_segment, self.chunks,
        )  # fmt: skip
        options: dict[str, Any] = {
            "P": n.width, "N": n.states, "ROWS": rows, "STATES": _padded(n.states), "Q": TUNING.frames, "ALIGN": align,
            "PER_HEAD": self.per_head, "HAS_D": D is not None, "HAS_FIRST": first is not None, "REVERSED": is_reversed,
            "PRECISION": self.precision, "num_warps": TUNING.warps, "num_stages": TUNING.stages,
        }  # fmt: skip
        if segments > 1:
            kernel[((segments - 1) * blocks, n.heads, self.batch)](
                *shared, ENDS=True, OUTPUT=False, STORE=False, **options
            )
        kernel[(segments * blocks, n.heads, self.batch)](
            *shared, ENDS=False, OUTPUT=y is not None, STORE=stored is not None, **options
        )

    def gradients(self, dy: Tensor, D: Tensor | None, before: Tensor, after: Tensor) -> tuple[Tensor, ...]:
        n, x, weight = self.sizes, self.x, self.weight
        per_group = n.heads // self.groups
        programs = self.batch * self.chunks * self.groups
        splits = next(
            (each for each in range(1, per_group) if per_group % each == 0
             and programs * each >= TUNING.gradient_fill * self.processors), per_group,
        )  # fmt: skip
        dx, dweight = torch.empty_like(x, memory_format=torch.contiguous_format), self.wide(*weight.shape)
        ddecay = dweight if self.per_head else self.wide(*self.decay.shape)
        shape = (splits, self.batch, self.B.shape[1], self.length)
        dB, dC = x.new_empty(shape), x.new_empty(shape)
        parts = self.wide(2, self.batch * self.chunks, n.heads)
        align = _alignment(self.length, dy, x, self.B, self.C, dx)
        strides = (
            *_strides(dy, align), *_strides(x, align), *weight.stride()[:2], *self.decay_strides,
            *_strides(self.B, align), *_strides(self.C, align),
        )  # fmt: skip
        of_parts = [each // align for each in dB.stride()[:3]]
        options: dict[str, Any] = {
            "P": n.width, "N": n.states, "ROWS": _padded(n.width), "STATES": _padded(n.states), "Q": TUNING.frames,
            "ALIGN": align, "PER_HEAD": self.per_head, "PRECISION": self.precision,
        }  # fmt: skip
        skip, length = weight if D is None else D, self.length // align
        if TUNING.fused:
            _kernels().gradients[(self.chunks, self.groups * splits, self.batch)](
                dy, x, weight, self.decay, self.B, self.C, skip, before, after, dx, dweight, ddecay, dB, dC,
                parts[0], parts[1], *strides, *_strides(dx, align), *of_parts, *dweight.stride()[:2], length, n.heads,
                per_group, splits, self.chunks, HAS_D=D is not None, **options,
                num_warps=TUNING.gradient_warps, num_stages=TUNING.gradient_stages,
            )  # fmt: skip
        else:
            _kernels().frame_gradients[(self.chunks, n.heads, self.batch)](
                dy, x, weight, self.decay, self.B, self.C, skip, before, after, dx, dweight, ddecay, parts[0], parts[1],
                *strides, *_strides(dx, align), *dweight.stride()[:2], length, n.heads, per_group, self.chunks,
                HAS_D=D is not None, **options, num_warps=TUNING.frame_warps, num_stages=1,
            )  # fmt: skip
            _kernels().matrix_gradients[(self.chunks, self.groups * splits, self.batch)](
                dy, x, weight, self.decay, self.B, self.C, before, after, dB, dC, *strides, *of_parts, length, n.heads,
                per_group, splits, self.chunks, **options,
                num_warps=TUNING.gradient_warps, num_stages=TUNING.gradient_stages,
            )  # fmt: skip
        sums = parts.sum(1) if self.per_head or D is not None else parts
        dA = sums[0].clone() if self.per_head else ddecay
        dD = x.new_empty(0) if D is None else sums[1].clone()
        return dx, dweight, dA, _summed(dB), _summed(dC), dD


def room(x: Tensor, sizes: Sizes) -> Tensor:
    """What `forward` keeps for the backward pass."""
    if not TUNING.keep:
        return x.new_empty(0)
    chunks = -(-x.shape[-1] // TUNING.frames)
    return x.new_empty(x.shape[0], chunks, sizes.heads, sizes.width, sizes.states)


def _summed(parts: Tensor) -> Tensor:
    return parts.squeeze(0) if len(parts) == 1 else parts.sum(0)


def _strides(each: Tensor, align: int) -> tuple[int, int]:
    return each.stride(0) // align, each.stride(1) // align


def _alignment(length: int, *tensors: Tensor) -> int:
    """How many elements side by side a thread may read at once: up to 8 that divide the length and all strides."""
    strides = (stride for each in tensors for stride in each.stride()[:2])
    addresses = (each.data_ptr() // each.element_size() for each in tensors)
    return math.gcd(8, length, *strides, *addresses)


def _state_shape(x: Tensor, sizes: Sizes) -> tuple[int, int, int]:
    return x.shape[0], sizes.heads * sizes.width, sizes.states


def _padded(size: int) -> int:
    """The next power of two, from 16 on: what matrix products of a program take."""
    return max(16, 1 << (size - 1).bit_length())


@functools.cache
def _processors(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 8


@functools.cache
def _kernels() -> Any:
    from . import ssd_triton

    return ssd_triton
