"""Launches selective_scan.metal, on MPS and CUDA alike: chooses the mapping, allocates, adds up partial sums."""

# ruff: noqa: N803, N806 - the names of the paper

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from . import metal

TYPES = {torch.float32: "float", torch.float16: "half", torch.bfloat16: "bfloat"}
SIMD = 32
THREADS_OF_CORE = 512  # that run at a time on one multiprocessor, with 128 registers each
APPLE_CORES = 32  # torch.mps does not say how many there are; an M-series chip has 8 to 80
SHORTEST_CHUNK = 64  # steps; below, the chunks' own cost outweighs what running side by side gains
# Partial sums of dB and dC may take this share of the memory of x, or half of it where an element has two bytes.
PARTIAL_SHARE = 0.6


@dataclass(frozen=True)
class Mapping:
    """How a kernel's work is spread: the sizes that selective_scan.metal is compiled with."""

    lanes: int
    """Lanes of a SIMD group that share a channel's states."""
    held: int
    """States that each of them keeps in registers."""
    steps: int
    """Steps of time that are read at once."""
    simdgroups: int
    """SIMD groups of a threadgroup."""

    @property
    def channels(self) -> int:
        """Channels of a threadgroup."""
        return SIMD // self.lanes * self.simdgroups

    @property
    def threads(self) -> int:
        return SIMD * self.simdgroups


@dataclass(frozen=True)
class Choice:
    """For up to so many states: the mappings of both passes, and the steps between two stored states."""

    state: int
    forward: Mapping
    backward: Mapping
    interval: int


# Fewer lanes leave less to exchange between them, more of them fewer registers to fill: the backward pass keeps
# held * steps states. Threadgroup memory (32 KB) limits steps and SIMD groups of the backward pass, and with many
# states the interval. Measured with bench/gpu/scan_tune.py.
CHOICES = (
    Choice(4, Mapping(4, 1, 16, 4), Mapping(8, 1, 16, 8), 32),
    Choice(8, Mapping(4, 2, 16, 4), Mapping(8, 1, 16, 8), 32),
    Choice(16, Mapping(4, 4, 16, 4), Mapping(8, 2, 16, 8), 32),
    Choice(32, Mapping(8, 4, 16, 4), Mapping(16, 2, 16, 4), 32),
    Choice(64, Mapping(16, 4, 16, 4), Mapping(32, 2, 8, 4), 32),
    Choice(128, Mapping(32, 4, 8, 4), Mapping(32, 4, 4, 4), 16),
    Choice(256, Mapping(32, 8, 4, 4), Mapping(32, 8, 4, 2), 16),
)


@dataclass(frozen=True)
class Plan:
    """What both passes of one call agree on."""

    forward: Mapping
    backward: Mapping
    interval: int
    """Steps between two stored states."""
    forward_chunk: int
    """Steps of a chunk of time, a multiple of the interval; chunks run side by side."""
    backward_chunk: int
    partials: int
    """Threadgroups that share the channels of a group in the backward pass: partial sums of dB and dC."""


def plan(x: Tensor, A: Tensor, B: Tensor) -> Plan:
    """The plan for x (Batch, Channels, L), A (Channels, N) and B (Batch, Groups, N, L)."""
    cores = torch.cuda.get_device_properties(x.device).multi_processor_count if x.is_cuda else APPLE_CORES
    return _plan(*x.shape, A.shape[1], B.shape[1], x.element_size(), cores * THREADS_OF_CORE)


@functools.cache
def _plan(batch: int, channels: int, length: int, state: int, groups: int, element_size: int, threads: int) -> Plan:
    chosen = _choice(state, element_size)
    channels_of_group = channels // groups

    def chunk(mapping: Mapping, blocks: int) -> int:
        """As many chunks as the device has threads for beside each other."""
        chunks = max(1, threads // (batch * groups * blocks * mapping.threads))
        steps = max(-(-length // chunks), min(length, SHORTEST_CHUNK), 1)
        return -(-steps // chosen.interval) * chosen.interval

    blocks = -(-channels_of_group // chosen.backward.channels)
    most = max(1, int(PARTIAL_SHARE * element_size / 4 * channels_of_group / (2 * state)))
    partials = -(-blocks // -(-blocks // min(blocks, most)))
    forward_chunk = chunk(chosen.forward, -(-channels_of_group // chosen.forward.channels))
    return Plan(
        chosen.forward, chosen.backward, chosen.interval, forward_chunk, chunk(chosen.backward, partials), partials
    )


def _choice(state: int, element_size: int) -> Choice:
    chosen = next(choice for choice in CHOICES if state <= choice.state)
    if element_size == 4 or state > 16:
        return chosen
    # Half the memory for half as large elements; the states that this keeps on the way back need a smaller group.
    return replace(chosen, backward=replace(chosen.backward, simdgroups=4), interval=64)


def checkpoints_shape(x: Tensor, A: Tensor, B: Tensor) -> tuple[int, ...]:
    """(Batch, stored states, Channels, N), fp32: the state before each interval."""
    batch, channels, length = x.shape
    return batch, -(-length // _choice(A.shape[1], x.element_size()).interval), channels, A.shape[1]


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
    chosen = plan(x, A, B)
    y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    last = A.new_empty(batch, channels, state)
    checkpoints = A.new_empty(checkpoints_shape(x, A, B))
    if x.numel() == 0:
        return y, last.zero_() if h is None else last.copy_(h), checkpoints

    scan = _Scan(x, A, B, chosen, chosen.forward, chosen.forward_chunk, {"D": D, "Z": z, "BIAS": delta_bias}, softplus)
    strides = _strides(x, delta, z, B, C, None)
    firsts = h if scan.chunks == 1 else scan.join(x, delta, A, B, z, delta_bias, h, strides, reverse=False)
    blocks = -(-scan.channels_of_group // chosen.forward.channels)
    scan.library(firsts is not None).selective_scan_forward(
        x, delta, A, B, C, _or(D, A), _or(z, x), _or(delta_bias, A), _or(firsts, A), y, last, checkpoints,
        scan.sizes, strides, **scan.grid(scan.groups * blocks, scan.chunks),
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
    batch, channels, state = x.shape[0], *A.shape
    chosen = plan(x, A, B)
    none = functools.partial(A.new_empty, 0)  # each its own: results must not alias
    dx, ddelta = (torch.empty(x.shape, dtype=x.dtype, device=x.device) for _ in range(2))
    dz = x.new_empty(0) if z is None else torch.empty(x.shape, dtype=x.dtype, device=x.device)
    dh = none() if h is None else A.new_empty(batch, channels, state)
    if x.numel() == 0:
        zeros = (none() if each is None else torch.zeros_like(each) for each in (A, B, C, D))
        return dx, ddelta, *zeros, dz, none() if delta_bias is None else torch.zeros_like(delta_bias), dh.copy_(dh_last)

    scan = _Scan(
        x, A, B, chosen, chosen.backward, chosen.backward_chunk, {"D": D, "Z": z, "BIAS": delta_bias}, softplus
    )
    strides = _strides(x, delta, z, B, C, dy)
    carries = dh_last
    if scan.chunks > 1:
        carries = scan.join(dy, delta, A, C, z, delta_bias, dh_last, strides, reverse=True)
    dA = A.new_empty(batch * scan.chunks, channels, state)
    dB, dC = (A.new_empty(chosen.partials, *B.shape) for _ in range(2))
    dD, dbias = (none() if each is None else A.new_empty(batch * scan.chunks, channels) for each in (D, delta_bias))
    scan.library(h is not None).selective_scan_backward(
        dy, carries, x, delta, A, B, C, _or(D, A), _or(z, x), _or(delta_bias, A), checkpoints,
        dx, ddelta, dA, dB, dC, _or(dD, dA), _or(dz, dx), _or(dbias, dA), _or(dh, dA),
        scan.sizes, strides, **scan.grid(scan.groups * chosen.partials, scan.chunks),
    )  # fmt: skip
    dD, dbias = (each if each.numel() == 0 else each.sum(0) for each in (dD, dbias))
    return dx, ddelta, dA.sum(0), dB.sum(0).to(B.dtype), dC.sum(0).to(C.dtype), dD, dz, dbias, dh


class _Scan:
    """What the launches of one pass share."""

    def __init__(
        self,
        x: Tensor,
        A: Tensor,
        B: Tensor,
        chosen: Plan,
        mapping: Mapping,
        chunk: int,
        optional: dict[str, Tensor | None],
        softplus: bool,
    ) -> None:
        batch, channels, length = x.shape
        self.batch, self.groups = batch, B.shape[1]
        self.channels_of_group = channels // self.groups
        self.chunks = -(-length // chunk)
        stored = -(-length // chosen.interval)
        self.sizes = [
            self.channels_of_group, length, self.groups, chunk, self.chunks, stored, chosen.partials
        ]  # fmt: skip
        self._device, self._mapping, self._states = x.device, mapping, channels * A.shape[1]
        self._defines: dict[str, int | str] = {f"HAS_{name}": int(each is not None) for name, each in optional.items()}
        self._defines |= {name.upper(): size for name, size in asdict(mapping).items()}
        self._defines |= {"INTERVAL": chosen.interval, "STATES": A.shape[1], "SOFTPLUS": int(softplus)}
        self._element = TYPES[x.dtype]

    def library(self, has_h: bool, reverse: bool = False) -> metal.Library:
        defines = {**self._defines, "ELEMENT": self._element, "HAS_H": int(has_h), "REVERSED": int(reverse)}
        return metal.load(self._device, _source(), defines)

    def grid(self, blocks: int, chunks: int) -> dict[str, tuple[int, int, int]]:
        threads = self._mapping.threads
        return {"threads": (blocks * threads, chunks, self.batch), "group_size": (threads, 1, 1)}

    def join(
        self,
        signal: Tensor,
        delta: Tensor,
        A: Tensor,
        matrix: Tensor,
        z: Tensor | None,
        delta_bias: Tensor | None,
        first: Tensor | None,
        strides: list[int],
        *,
        reverse: bool,
    ) -> Tensor:
        """(Batch, chunks, Channels, N): the state before each chunk; reversed, the gradient after each."""
        ends = A.new_empty(self.batch, self.chunks, *A.shape)
        totals = A.new_empty(self.batch, self.chunks, A.shape[0])
        library = self.library(first is not None, reverse)
        blocks = self.groups * -(-self.channels_of_group // self._mapping.channels)
        library.selective_scan_chunk_ends(
            signal, delta, A, matrix, _or(z, signal), _or(delta_bias, A), ends, totals, self.sizes, strides,
            **self.grid(blocks, self.chunks - 1),
        )  # fmt: skip
        blocks = -(-self._states // self._mapping.threads)
        library.selective_scan_join_chunks(_or(first, A), A, totals, ends, self.sizes, **self.grid(blocks, 1))
        return ends


def _strides(x: Tensor, delta: Tensor, z: Tensor | None, B: Tensor, C: Tensor, dy: Tensor | None) -> list[int]:
    """The strides of every axis but time, in the order of strides[] in selective_scan.metal.

    Raises ValueError where the channels of a SIMD group, or the states, lie too far apart for offsets of 32 bits.
    """
    for name, each, axis, count in (
        ("x", x, 1, 8),
        ("delta", delta, 1, 8),
        ("z", z, 1, 8),
        ("B", B, 2, 256),
        ("C", C, 2, 256),
    ):
        if each is not None and each.stride(axis) * count + each.shape[-1] >= 2**32:
            raise ValueError(
                f"selective_scan: {name} has strides {each.stride()}, too large for a GPU: split the sequence"
            )
    return [
        *x.stride()[:2], *delta.stride()[:2], *_or(z, x).stride()[:2], *B.stride()[:3], *C.stride()[:3],
        *_or(dy, x).stride()[:2],
    ]  # fmt: skip


def _or(tensor: Tensor | None, placeholder: Tensor) -> Tensor:
    """A kernel's buffers are all bound, also those that its flags make it leave alone."""
    return placeholder if tensor is None or tensor.numel() == 0 else tensor


@functools.cache
def _source() -> str:
    return (Path(__file__).parent / "selective_scan.metal").read_text()
