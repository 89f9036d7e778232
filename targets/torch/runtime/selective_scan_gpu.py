"""The selective scan on MPS and CUDA: its plan, and its launches by the kind of its inputs."""

# ruff: noqa: N803, N806 - the names of the paper

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from . import selective_scan_plan
from .selective_scan_launches import Calls, Inputs, Kind
from .selective_scan_plan import Plan

__all__ = ["Plan", "backward", "calls", "checkpoints_shape", "checkpoints_type", "forward", "plan"]

REMEMBERED = 1024  # kinds of inputs: batches of utterances come in many lengths
_calls: dict[object, Calls] = {}


def forward(
    x: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    h: Tensor | None,
    softplus: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """y, the last state and the checkpoints of `mctc::selective_scan`; what has a time axis has stride 1 along it."""
    inputs = (x, delta, A, B, C, D, z, delta_bias, h)
    return calls(inputs, softplus).forward(inputs, (*x.shape[:2], A.shape[1]))


def backward(
    dy: Tensor,
    dh_last: Tensor,
    x: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    h: Tensor | None,
    checkpoints: Tensor,
    softplus: bool,
) -> tuple[Tensor, ...]:
    """The gradients of `mctc::selective_scan_backward`, empty where there was no input."""
    inputs = (x, delta, A, B, C, D, z, delta_bias, h)
    gradients = calls(inputs, softplus).backward(dy, dh_last, inputs, checkpoints)
    return tuple(A.new_empty(0) if each is None else each for each in gradients)


def _as_they_are(inputs: Inputs) -> tuple[Inputs, tuple[int, ...]]:
    return inputs, ()


def calls(
    inputs: Inputs, softplus: bool, read: Callable[[Inputs], tuple[Inputs, tuple[int, ...]]] = _as_they_are
) -> Calls:
    """What is known of inputs of this kind. Of one that is new, `read` gives what the kernels read of the inputs, and
    which of them are copied for that."""
    kinds = [None if each is None else (each.shape, each.stride(), each.dtype) for each in inputs]
    key = (plan, softplus, inputs[0].device, *kinds)
    known = _calls.get(key)
    if known is None:
        if len(_calls) >= REMEMBERED:
            _calls.clear()
        read_as, copied = read(inputs)
        x, _, A, B, *_ = read_as
        known = _calls[key] = Calls(Kind.of(read_as, softplus, plan(x, A, B), checkpoints_type(x)), copied)
    return known


def plan(x: Tensor, A: Tensor, B: Tensor) -> Plan:
    """The plan for x (Batch, Channels, L), A (Channels, N) and B (Batch, Groups, N, L)."""
    shape = *x.shape, A.shape[1], B.shape[1]
    threads = _threads(x.device)
    sizes = x.element_size(), checkpoints_type(x).itemsize
    return selective_scan_plan.plan(*shape, *sizes, *(() if threads is None else (threads, True)))


@functools.cache
def _threads(device: torch.device) -> int | None:
    """How many an NVIDIA GPU runs at a time; None for another device."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).multi_processor_count * selective_scan_plan.THREADS_OF_CORE
    return None


def checkpoints_shape(x: Tensor, A: Tensor, B: Tensor) -> tuple[int, ...]:
    """(Batch, stored states, Channels, N): the state before each interval."""
    batch, channels, length = x.shape
    interval = selective_scan_plan.choice(A.shape[1], x.element_size(), checkpoints_type(x).itemsize).interval
    return batch, -(-length // interval), channels, A.shape[1]


def checkpoints_type(x: Tensor) -> torch.dtype:
    """Of stored states, and of partial sums of dB and dC: rounded as results are where x is bf16. fp16 has too small a
    range for states."""
    return torch.bfloat16 if x.dtype == torch.bfloat16 else torch.float32
