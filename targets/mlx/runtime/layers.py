"""Layers that mlx.nn lacks, or has with other padding: convolutions that see more frames before than after, and cells.

Tensors are (B, frames, C); kernels (outputs, frames, features, inputs), as MLX has them.
"""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn

from . import functional

Pads = tuple[tuple[int, int], ...]


class Conv1d(nn.Module):
    """Convolution along the frames of (B, T, C). pads: zero frames before and after; a step, which has the frames
    before its chunk at hand, calls with its own."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        pads: Pads = ((0, 0),),
    ) -> None:
        super().__init__()
        self.weight = mx.zeros((out_channels, kernel, in_channels // groups))
        if bias:
            self.bias = mx.zeros((out_channels,))
        self.stride, self.dilation, self.groups, self.pads = stride, dilation, groups, pads

    def __call__(self, x: mx.array, pads: Pads | None = None) -> mx.array:
        return functional.conv1d(
            x, self.weight, self.get("bias"),
            stride=self.stride, dilation=self.dilation, groups=self.groups, pads=pads or self.pads,
        )  # fmt: skip


class Conv2d(nn.Module):
    """Convolution along the frames and features of (B, T, F, C); kernel, stride, dilation and pads in that order."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, int],
        *,
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        groups: int = 1,
        bias: bool = True,
        pads: Pads = ((0, 0), (0, 0)),
    ) -> None:
        super().__init__()
        self.weight = mx.zeros((out_channels, *kernel, in_channels // groups))
        if bias:
            self.bias = mx.zeros((out_channels,))
        self.stride, self.dilation, self.groups, self.pads = stride, dilation, groups, pads

    def __call__(self, x: mx.array, pads: Pads | None = None) -> mx.array:
        return functional.conv2d(
            x, self.weight, self.get("bias"),
            stride=self.stride, dilation=self.dilation, groups=self.groups, pads=pads or self.pads,
        )  # fmt: skip


class LSTM(nn.Module):
    """A long short-term memory, gates i, f, g, o: (B, T, in) to (B, T, hidden) and the states h, c (B, hidden)."""

    def __init__(self, in_channels: int, hidden: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight_ih = mx.zeros((4 * hidden, in_channels))
        self.weight_hh = mx.zeros((4 * hidden, hidden))
        if bias:
            self.bias = mx.zeros((4 * hidden,))

    def __call__(
        self, x: mx.array, h: mx.array | None = None, c: mx.array | None = None, *, mask: mx.array | None = None
    ) -> tuple[mx.array, mx.array, mx.array]:
        return functional.lstm(x, self.weight_ih, self.weight_hh, self.get("bias"), h, c, mask=mask)


class GRU(nn.Module):
    """A gated recurrent unit, gates r, z, n: (B, T, in) to (B, T, hidden) and the state h (B, hidden)."""

    def __init__(self, in_channels: int, hidden: int, *, bias_ih: bool = True, bias_hh: bool = True) -> None:
        super().__init__()
        self.weight_ih = mx.zeros((3 * hidden, in_channels))
        self.weight_hh = mx.zeros((3 * hidden, hidden))
        if bias_ih:
            self.bias_ih = mx.zeros((3 * hidden,))
        if bias_hh:
            self.bias_hh = mx.zeros((3 * hidden,))

    def __call__(
        self, x: mx.array, h: mx.array | None = None, *, mask: mx.array | None = None
    ) -> tuple[mx.array, mx.array]:
        biases = self.get("bias_ih"), self.get("bias_hh")
        return functional.gru(x, self.weight_ih, self.weight_hh, *biases, h, mask=mask)
