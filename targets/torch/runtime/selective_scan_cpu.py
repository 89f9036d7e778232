"""Runs selective_scan.cpp: allocates what it writes, and passes it where all tensors lie."""

# ruff: noqa: N803, N806 - the names of the paper

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from . import native

SOURCE = Path(__file__).with_name("selective_scan.cpp")
STEPS = 64  # between checkpoints, as in the source
PARTS = 16  # of a group's blocks that are summed on their own: enough to keep processors busy, few enough to store

TYPES = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}
SIZES = ("batch", "channels", "length", "groups", "states", "softplus", "blocks_per_task")
ARRAYS = (
    *("x", "delta", "z", "y", "dy", "dx", "ddelta", "dz"),
    *("B", "C", "dB", "dC"),
    *("A", "D", "bias", "h", "h_last", "dh", "dh_last", "dA", "dD", "dbias", "checkpoints"),
)

Gradients = tuple[Tensor, ...]


class _Array(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("stride", ctypes.c_int64 * 3)]

    @classmethod
    def of(cls, tensor: Tensor | None) -> _Array:
        if tensor is None:
            return cls()
        strides = (ctypes.c_int64 * 3)(*tensor.stride()[:-1][:3])
        return cls(tensor.data_ptr(), strides)


class _Scan(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in SIZES] + [(name, _Array) for name in ARRAYS]


def available() -> bool:
    """Whether the source could be compiled here."""
    return native.load(SOURCE) is not None


def checkpoints_shape(x: Tensor, A: Tensor, B: Tensor) -> tuple[int, ...]:
    """What `forward` keeps for `backward`: the states at the start of each tile."""
    batch, channels, length = x.shape
    groups = B.shape[1]
    return ((length + STEPS - 1) // STEPS, batch, groups * _blocks(channels // groups), A.shape[1], _lanes())


def checkpoints_type(x: Tensor) -> torch.dtype:
    return torch.float32


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
    """y, the last state and the checkpoints; arguments as of the op mctc::selective_scan."""
    y, h_last = _like(x), A.new_empty(*x.shape[:2], A.shape[1])
    checkpoints = A.new_empty(checkpoints_shape(x, A, B))
    _run(
        False, softplus,
        x=x, delta=delta, A=A, B=B, C=C, D=D, z=z, bias=delta_bias, h=h, y=y, h_last=h_last, checkpoints=checkpoints,
    )  # fmt: skip
    return y, h_last, checkpoints


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
) -> Gradients:
    """The gradients of x, delta, A, B, C, D, z, delta_bias and h, empty where there was none."""
    batch, channels, length = x.shape
    dx, ddelta, dz = _like(x), _like(delta), _like(z)
    parts = (batch, B.shape[1], _tasks(channels // B.shape[1])[0], A.shape[1], length)
    dB, dC = A.new_empty(parts), A.new_empty(parts)
    dA, dD, dbias = (None if each is None else each.new_empty(batch, *each.shape) for each in (A, D, delta_bias))
    dh = _like(h)
    _run(
        True, softplus,
        x=x, delta=delta, A=A, B=B, C=C, D=D, z=z, bias=delta_bias, h=h, dy=dy, dh_last=dh_last,
        checkpoints=checkpoints, dx=dx, ddelta=ddelta, dA=dA, dB=dB, dC=dC, dD=dD, dz=dz, dbias=dbias, dh=dh,
    )  # fmt: skip
    summed = [None if each is None else each.sum(0) for each in (dA, dD, dbias)]
    gradients = (dx, ddelta, summed[0], dB.sum(2).to(B.dtype), dC.sum(2).to(C.dtype), summed[1], dz, summed[2], dh)
    return tuple(x.new_empty(0) if each is None else each for each in gradients)


def _run(backward: bool, softplus: bool, **arrays: Tensor | None) -> None:
    x, A, B = arrays["x"], arrays["A"], arrays["B"]
    assert x is not None
    assert A is not None
    assert B is not None
    groups = B.shape[1]
    sizes = (*x.shape, groups, A.shape[1], softplus, _tasks(x.shape[1] // groups)[1])
    scan = _Scan(*sizes, *(_Array.of(arrays.get(name)) for name in ARRAYS))
    _library().selective_scan(ctypes.byref(scan), TYPES[x.dtype], backward, torch.get_num_threads())


def _library() -> ctypes.CDLL:
    library = native.load(SOURCE)
    assert library is not None
    library.selective_scan.argtypes = (ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
    library.selective_scan.restype = None
    return library


def _lanes() -> int:
    """The channels of a block: as many as a vector register of this processor holds."""
    return int(_library().selective_scan_lanes())


def _blocks(channels: int) -> int:
    return (channels + _lanes() - 1) // _lanes()


def _tasks(channels: int) -> tuple[int, int]:
    """How many tasks a group of channels is cut into, and the blocks of each."""
    each = (_blocks(channels) + PARTS - 1) // PARTS
    return (_blocks(channels) + each - 1) // each, each


def _like(tensor: Any) -> Any:
    return None if tensor is None else torch.empty_like(tensor, memory_format=torch.contiguous_format)
