"""Launches selective_scan.metal, on MPS and CUDA alike."""

# ruff: noqa: N803, N806 - the names of the paper

from __future__ import annotations

import functools
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from . import metal, selective_scan_plan
from .selective_scan_plan import Mapping, Plan

__all__ = ["Plan", "backward", "checkpoints_shape", "checkpoints_type", "forward", "plan"]

TYPES = {torch.float32: "float", torch.float16: "half", torch.bfloat16: "bfloat"}


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
    batch, channels, state = x.shape[0], *A.shape
    y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    last = A.new_empty(batch, channels, state)
    checkpoints = A.new_empty(checkpoints_shape(x, A, B), dtype=checkpoints_type(x))
    if x.numel() == 0:
        return y, last.zero_() if h is None else last.copy_(h), checkpoints

    chosen = plan(x, A, B)
    flags = Flags(D is not None, z is not None, delta_bias is not None, h is not None, softplus, reversed=False)
    scan = _Scan(x, A, B, chosen, chosen.forward, chosen.forward_chunk, flags)
    strides = _strides(x, delta, z, B, C, None)
    ends, totals = scan.chunk_ends(x, delta, A, B, z, delta_bias, strides)
    scan.library.selective_scan_forward(
        x, delta, A, B, C, _or(D, A), _or(z, x), _or(delta_bias, A), _or(h, A), ends, totals,
        y, last, checkpoints, scan.sizes, strides, **scan.grid(scan.blocks, scan.chunks, batch),
    )  # fmt: skip
    return y, last, checkpoints


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
    gradients = [_like(each, A) for each in inputs]
    if x.numel() == 0:
        for gradient in gradients[:-1]:
            gradient.zero_()
        return (*gradients[:-1], gradients[-1] if h is None else gradients[-1].copy_(dh_last))

    dx, ddelta, dA, dB, dC, dD, dz, dbias, dh = gradients
    chosen = plan(x, A, B)
    flags = Flags(D is not None, z is not None, delta_bias is not None, h is not None, softplus, reversed=True)
    scan = _Scan(x, A, B, chosen, chosen.backward, chosen.backward_chunk, flags)
    strides = _strides(x, delta, z, B, C, dy)
    ends, totals = scan.chunk_ends(dy, delta, A, C, z, delta_bias, strides)
    batch = x.shape[0]
    # Of A, D and the bias a part for each batch entry and chunk, of B and C for each threadgroup of a channel group.
    dA_parts, dD_parts, dbias_parts = (A.new_empty(batch * scan.chunks, *each.shape) for each in (dA, dD, dbias))
    dB_parts, dC_parts = (A.new_empty(chosen.partials, *B.shape, dtype=checkpoints.dtype) for _ in range(2))
    scan.library.selective_scan_backward(
        dy, dh_last, x, delta, A, B, C, _or(D, A), _or(z, x), _or(delta_bias, A), checkpoints, ends, totals,
        dx, ddelta, dA_parts, dB_parts, dC_parts, _or(dD_parts, dA), _or(dz, dx), _or(dbias_parts, dA), _or(dh, dA),
        scan.sizes, strides, **scan.grid(B.shape[1] * chosen.partials, scan.chunks, batch),
    )  # fmt: skip
    largest = max(dA.numel(), dB.numel())
    scan.library.selective_scan_sums(
        dA_parts, dB_parts, dC_parts, _or(dD_parts, dA_parts), _or(dbias_parts, dA_parts),
        dA, dB, dC, _or(dD, dA), _or(dbias, dA), scan.sizes, **scan.grid(-(-largest // chosen.backward.threads), 1, 1),
    )  # fmt: skip
    return dx, ddelta, dA, dB, dC, dD, dz, dbias, dh


def plan(x: Tensor, A: Tensor, B: Tensor) -> Plan:
    """The plan for x (Batch, Channels, L), A (Channels, N) and B (Batch, Groups, N, L)."""
    shape = *x.shape, A.shape[1], B.shape[1]
    threads = _threads(x.device)
    sizes = x.element_size(), checkpoints_type(x).itemsize
    return selective_scan_plan.plan(*shape, *sizes, *(() if threads is None else (threads,)))


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


class Flags(NamedTuple):
    """What a kernel is compiled with or without."""

    has_d: bool
    has_z: bool
    has_bias: bool
    has_h: bool
    softplus: bool
    reversed: bool


@functools.cache
def _library(
    device: torch.device, element: str, kept: str, state: int, interval: int, mapping: Mapping, flags: Flags
) -> metal.Library:
    sizes = {"STATES": state, "INTERVAL": interval, **{name.upper(): size for name, size in asdict(mapping).items()}}
    defines = {name.upper(): int(flag) for name, flag in flags._asdict().items()}
    source = (Path(__file__).parent / "selective_scan.metal").read_text()
    return metal.load(device, source, {"ELEMENT": element, "KEPT": kept, **sizes, **defines})


class _Scan:
    """What the launches of one pass share."""

    def __init__(
        self, x: Tensor, A: Tensor, B: Tensor, chosen: Plan, mapping: Mapping, chunk: int, flags: Flags
    ) -> None:
        batch, channels, length = x.shape
        groups = B.shape[1]
        self.blocks = groups * -(-(channels // groups) // mapping.channels)
        self.chunks = -(-length // chunk)
        stored = -(-length // chosen.interval)
        self.sizes = [channels // groups, length, groups, chunk, self.chunks, stored, chosen.partials, batch]
        types = TYPES[x.dtype], TYPES[checkpoints_type(x)]
        self.library = _library(x.device, *types, A.shape[1], chosen.interval, mapping, flags)
        self._threads = mapping.threads

    def grid(self, x: int, y: int, z: int) -> dict[str, tuple[int, int, int]]:
        """So many threadgroups."""
        return {"threads": (x * self._threads, y, z), "group_size": (self._threads, 1, 1)}

    def chunk_ends(
        self,
        signal: Tensor,
        delta: Tensor,
        A: Tensor,
        matrix: Tensor,
        z: Tensor | None,
        delta_bias: Tensor | None,
        strides: list[int],
    ) -> tuple[Tensor, Tensor]:
        """(Batch, chunks, Channels, N) and (Batch, chunks, Channels); nothing that is read where there is one chunk."""
        if self.chunks == 1:
            return A, A
        batch = signal.shape[0]
        ends = A.new_empty(batch, self.chunks, *A.shape)
        totals = A.new_empty(batch, self.chunks, A.shape[0])
        self.library.selective_scan_chunk_ends(
            signal, delta, A, matrix, _or(z, signal), _or(delta_bias, A), ends, totals, self.sizes, strides,
            **self.grid(self.blocks, self.chunks - 1, batch),
        )  # fmt: skip
        return ends, totals


def _strides(x: Tensor, delta: Tensor, z: Tensor | None, B: Tensor, C: Tensor, dy: Tensor | None) -> list[int]:
    """The strides of every axis but time, in the order of strides[] in selective_scan.metal.

    Raises ValueError where one batch entry goes over more elements than offsets of 32 bits reach.
    """
    given = {"x": x, "delta": delta, "z": _or(z, x), "B": B, "C": C, "dy": _or(dy, x)}
    for name, each in given.items():
        if each.stride(-2) * each.shape[-2] + each.shape[-1] >= 2**32:
            raise ValueError(
                f"selective_scan: {name} with strides {each.stride()} is too large for a GPU: split the sequence"
            )
    return [stride for each in given.values() for stride in each.stride()[:-1]]


def _like(each: Tensor | None, A: Tensor) -> Tensor:
    """Room for a gradient, contiguous; none where there is no input."""
    return A.new_empty(0) if each is None else torch.empty(each.shape, dtype=each.dtype, device=each.device)


def _or(tensor: Tensor | None, placeholder: Tensor) -> Tensor:
    """A kernel's buffers are all bound, also those that its flags make it leave alone."""
    return placeholder if tensor is None or tensor.numel() == 0 else tensor
