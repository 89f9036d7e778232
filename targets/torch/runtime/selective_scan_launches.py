"""What a GPU's selective scan does for inputs of one kind, worked out once: kernels, grids, sizes of what they write.

A call whose shapes, strides and types came before allocates its results and starts the kernels, no more.
"""

# ruff: noqa: N803, N806 - the names of the paper

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from . import metal
from .selective_scan_plan import Mapping, OverLanes, Plan

TYPES = {torch.float32: "float", torch.float16: "half", torch.bfloat16: "bfloat"}
# x, delta, A, B, C, D, z, delta_bias, h
Inputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None, Tensor | None]
Gradients = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None, Tensor | None]


class Flags(NamedTuple):
    """What a kernel is compiled with or without."""

    has_d: bool
    has_z: bool
    has_bias: bool
    has_h: bool
    softplus: bool
    reversed: bool
    has_dh: bool
    """Whether the last state has a gradient."""


class Grid(NamedTuple):
    """How many threads and how many of them are a group, as kernels take them."""

    threads: metal.Size
    group_size: metal.Size

    @classmethod
    def of(cls, group: int, x: int, y: int, z: int) -> Grid:
        """So many groups."""
        return cls((x * group, y, z), (group, 1, 1))


@dataclass(frozen=True)
class Kind:
    """Inputs that are the same to the kernels, wherever they lie."""

    device: torch.device
    element: torch.dtype
    kept: torch.dtype
    """Of stored states, and of partial sums of dB and dC."""
    batch: int
    channels: int
    length: int
    groups: int
    state: int
    flags: Flags
    """Of the forward pass."""
    strides: tuple[int, ...]
    """Of x, delta, z, B and C."""
    in_vectors: bool
    """Whether rows of 16-bit elements lie whole multiples of 16 bytes apart and are whole steps of a lane."""
    plan: Plan

    @classmethod
    def of(cls, inputs: Inputs, softplus: bool, plan: Plan, kept: torch.dtype) -> Kind:
        """Of x (Batch, Channels, L), A (Channels, N), B (Batch, Groups, N, L), which have stride 1 along time."""
        x, delta, A, B, C, D, z, delta_bias, h = inputs
        flags = Flags(D is not None, z is not None, delta_bias is not None, h is not None, softplus, False, False)
        over_time = {"x": x, "delta": delta, "z": x if z is None else z, "B": B, "C": C}
        whole = all(stride * x.element_size() % 16 == 0 for stride in strides(**over_time))
        lanes = plan.over_lanes
        in_vectors = whole and lanes is not None and x.element_size() == 2 and x.shape[-1] % lanes.steps == 0
        batch, channels, length = x.shape
        sizes = {"batch": batch, "channels": channels, "length": length, "groups": B.shape[1], "state": A.shape[1]}
        return cls(
            x.device,
            x.dtype,
            kept,
            **sizes,
            flags=flags,
            strides=strides(**over_time),
            in_vectors=in_vectors,
            plan=plan,
        )

    @property
    def stored(self) -> int:
        """Stored states of a channel."""
        return -(-self.length // self.plan.interval)

    def blocks(self, channels: int) -> int:
        """Threadgroups of so many channels of a group, over all groups."""
        return self.groups * -(-(self.channels // self.groups) // channels)

    def sizes(self, chunk: int, chunks: int) -> tuple[int, ...]:
        """sizes[] of the kernels."""
        of_group = self.channels // self.groups
        return of_group, self.length, self.groups, chunk, chunks, self.stored, self.plan.partials, self.batch

    def library(self, file: str, mapping: Mapping | OverLanes, flags: Flags) -> metal.Library:
        types = TYPES[self.element], TYPES[self.kept]
        return _library(self.device, file, *types, self.state, self.plan.interval, mapping, flags)


class Calls:
    """Both passes for inputs of one kind. Tensors of a call may have an axis of 1 more, if they lie the same."""

    def __init__(self, kind: Kind, copied: tuple[int, ...]) -> None:
        self._kind = kind
        self._copied = copied
        self._kept_as_x = kind.kept == kind.element
        self._stored = kind.batch * kind.stored * kind.channels * kind.state
        self._backwards: dict[tuple[int, ...], _Backward] = {}
        self._empty = kind.batch * kind.channels * kind.length == 0
        if self._empty:
            return
        lanes = kind.plan.over_lanes
        if lanes is not None and kind.in_vectors:
            self._over_lanes = kind.library("selective_scan_over_lanes.metal", lanes, kind.flags)
            self._one_chunk = kind.sizes(0, 1)
            self._lanes_grid = Grid.of(lanes.threads, kind.blocks(lanes.simdgroups), 1, kind.batch)

    @functools.cached_property
    def _forward(self) -> _Pass:
        kind = self._kind
        return _Pass(kind, kind.plan.forward, kind.plan.forward_chunk, kind.flags)

    def forward(self, inputs: Inputs, last_shape: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """y, the last state, and the stored states one after the other."""
        x, delta, A, B, C, D, z, delta_bias, h = self._as_read(inputs)
        y, last = x.new_empty(x.shape), A.new_empty(last_shape)
        stored = (x if self._kept_as_x else A).new_empty(self._stored)
        if self._empty:
            return y, last.zero_() if h is None else last.copy_(h), stored
        # A kernel's buffers are all bound, also those that its flags make it leave alone.
        gate, bias = x if z is None else z, A if delta_bias is None else delta_bias
        skip, first = A if D is None else D, A if h is None else h
        strides = self._kind.strides
        if self._kind.in_vectors and _begin_at_16_bytes(x, delta, B, C, gate):
            self._over_lanes.selective_scan_forward_over_lanes(
                x, delta, A, B, C, skip, gate, bias, first, y, last, stored, self._one_chunk, strides,
                threads=self._lanes_grid.threads, group_size=self._lanes_grid.group_size,
            )  # fmt: skip
            return y, last, stored
        way = self._forward
        ends, totals = way.chunk_ends(x, delta, A, B, gate, bias, strides)
        way.library.selective_scan_forward(
            x, delta, A, B, C, skip, gate, bias, first, ends, totals, y, last, stored, way.sizes, strides,
            threads=way.grid.threads, group_size=way.grid.group_size,
        )  # fmt: skip
        return y, last, stored

    def backward(self, dy: Tensor, dh_last: Tensor | None, inputs: Inputs, stored: Tensor) -> Gradients:
        """The gradient of each input, as it, contiguous; None where there was none."""
        inputs = self._as_read(inputs)
        gradients: Gradients = tuple(None if each is None else each.new_empty(each.shape) for each in inputs)  # type: ignore[assignment]
        if self._empty:
            for gradient in gradients:
                if gradient is not None:
                    gradient.zero_()
            if gradients[-1] is not None and dh_last is not None:
                gradients[-1].copy_(dh_last)
            return gradients
        dy = dy if dy.stride(-1) == 1 else dy.contiguous()
        dh_last = None if dh_last is None else dh_last.contiguous()
        key = (*dy.stride(), dh_last is None)
        way = self._backwards.get(key)
        if way is None:
            way = self._backwards[key] = _Backward(self._kind, dy, has_dh=dh_last is not None)
        way(dy, dh_last, inputs, stored, gradients)
        return gradients

    def _as_read(self, inputs: Inputs) -> Inputs:
        """With copies of those whose elements lie otherwise than the kernels read them."""
        if not self._copied:
            return inputs
        copied = self._copied
        return tuple(x.contiguous() if x is not None and i in copied else x for i, x in enumerate(inputs))  # type: ignore[return-value]


def _begin_at_16_bytes(x: Tensor, delta: Tensor, B: Tensor, C: Tensor, gate: Tensor) -> bool:
    addresses = x.data_ptr() | delta.data_ptr() | B.data_ptr() | C.data_ptr() | gate.data_ptr()
    return addresses % 16 == 0


class _Pass:
    """A pass for inputs of one kind, in chunks of time where that is worth while."""

    def __init__(self, kind: Kind, mapping: Mapping, chunk: int, flags: Flags) -> None:
        self.chunks = -(-kind.length // chunk)
        self.sizes = kind.sizes(chunk, self.chunks)
        self.library = kind.library("selective_scan.metal", mapping, flags)
        blocks = kind.blocks(mapping.channels)
        self.grid = Grid.of(mapping.threads, blocks, self.chunks, kind.batch)
        self._ends_grid = Grid.of(mapping.threads, blocks, self.chunks - 1, kind.batch)
        self._totals_shape = kind.batch, self.chunks, kind.channels
        self._ends_shape = *self._totals_shape, kind.state

    def chunk_ends(
        self,
        signal: Tensor,
        delta: Tensor,
        A: Tensor,
        matrix: Tensor,
        gate: Tensor,
        bias: Tensor,
        strides: tuple[int, ...],
    ) -> tuple[Tensor, Tensor]:
        """(Batch, chunks, Channels, N) and (Batch, chunks, Channels); nothing that is read where there is one chunk."""
        if self.chunks == 1:
            return A, A
        ends, totals = A.new_empty(self._ends_shape), A.new_empty(self._totals_shape)
        self.library.selective_scan_chunk_ends(
            signal, delta, A, matrix, gate, bias, ends, totals, self.sizes, strides,
            threads=self._ends_grid.threads, group_size=self._ends_grid.group_size,
        )  # fmt: skip
        return ends, totals


class _Backward:
    """The backward pass for inputs of one kind and gradients of y that lie in one way."""

    def __init__(self, kind: Kind, dy: Tensor, *, has_dh: bool) -> None:
        plan = kind.plan
        self._strides = (*kind.strides, *strides(dy=dy if dy.dim() == 3 else dy.squeeze(2)))
        self._pass = _Pass(kind, plan.backward, plan.backward_chunk, kind.flags._replace(reversed=True, has_dh=has_dh))
        self._kept_as_x = kind.kept == kind.element
        # Parts: of A, D and the bias for each batch entry and chunk, of B and C for each threadgroup of a group.
        self._of_channels = kind.batch * self._pass.chunks, kind.channels
        self._of_rates = *self._of_channels, kind.state
        self._of_matrices = plan.partials, kind.batch, kind.groups, kind.state, kind.length
        threads = plan.backward.threads
        self._grid = Grid.of(threads, kind.groups * plan.partials, self._pass.chunks, kind.batch)
        largest = kind.state * max(kind.channels, kind.batch * kind.groups * kind.length)
        self._sums_grid = Grid.of(threads, -(-largest // threads), 1, 1)

    def __call__(
        self, dy: Tensor, dh_last: Tensor | None, inputs: Inputs, stored: Tensor, gradients: Gradients
    ) -> None:
        x, delta, A, B, C, D, z, delta_bias, _ = inputs
        dx, ddelta, dA, dB, dC, dD, dz, dbias, dh = gradients
        way = self._pass
        gate, bias, skip = x if z is None else z, A if delta_bias is None else delta_bias, A if D is None else D
        after = A if dh_last is None else dh_last
        ends, totals = way.chunk_ends(dy, delta, A, C, gate, bias, self._strides)
        dA_parts = A.new_empty(self._of_rates)
        dD_parts, dbias_parts = (dA_parts if each is None else A.new_empty(self._of_channels) for each in (dD, dbias))
        kept = x if self._kept_as_x else A
        dB_parts, dC_parts = kept.new_empty(self._of_matrices), kept.new_empty(self._of_matrices)
        dz, dh = dx if dz is None else dz, dA if dh is None else dh
        way.library.selective_scan_backward(
            dy, after, x, delta, A, B, C, skip, gate, bias, stored, ends, totals,
            dx, ddelta, dA_parts, dB_parts, dC_parts, dD_parts, dz, dbias_parts, dh,
            way.sizes, self._strides, threads=self._grid.threads, group_size=self._grid.group_size,
        )  # fmt: skip
        way.library.selective_scan_sums(
            dA_parts, dB_parts, dC_parts, dD_parts, dbias_parts,
            dA, dB, dC, dA if dD is None else dD, dA if dbias is None else dbias, way.sizes,
            threads=self._sums_grid.threads, group_size=self._sums_grid.group_size,
        )  # fmt: skip


@functools.cache
def _library(
    device: torch.device,
    file: str,
    element: str,
    kept: str,
    state: int,
    interval: int,
    mapping: Mapping | OverLanes,
    flags: Flags,
) -> metal.Library:
    sizes = {"STATES": state, "INTERVAL": interval, **{name.upper(): size for name, size in asdict(mapping).items()}}
    types = {"ELEMENT": element, "KEPT": kept}
    if isinstance(mapping, OverLanes):
        types["ELEMENT_IS_BFLOAT"] = str(int(element == "bfloat"))
    given = {name.upper(): int(flag) for name, flag in flags._asdict().items()}
    return metal.load(device, source(file), {**types, **sizes, **given})


def source(file: str) -> str:
    """The Metal text of a file of kernels, behind what all of them share."""
    return "".join((Path(__file__).parent / each).read_text() for each in ("selective_scan_step.metal", file))


def strides(**over_time: Tensor) -> tuple[int, ...]:
    """The strides of every axis but time, in the order of strides[] in selective_scan_step.metal.

    Raises ValueError where one batch entry goes over more elements than offsets of 32 bits reach.
    """
    for name, each in over_time.items():
        if each.stride(-2) * each.shape[-2] + each.shape[-1] >= 2**32:
            raise ValueError(
                f"selective_scan: {name} with strides {each.stride()} is too large for a GPU: split the sequence"
            )
    return tuple(stride for each in over_time.values() for stride in each.stride()[:-1])
