"""Convolution that can be trained in a compiled graph of varying shapes on a CPU.

There inductor lays the operands of torch's convolution out channels-last, and of what it keeps for the backward pass
then takes the strides of one shape for those of all (torch 2.13: "expected size 2==2, stride 500==660"), or can't order
them where a view was kept ("cannot determine truth value of Relational: 1 < s0"). It leaves `mctc::conv2d` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

HOW = "int[] stride, int[] padding, int[] dilation, int groups"


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Tensor:
    """torch's conv2d, of a pair for each of stride, padding and dilation."""
    how = (stride, padding, dilation, groups)
    if x.device.type == "cuda" and weight.shape[2:] == (1, 1) and how == ((1, 1), (0, 0), (1, 1), 1):
        return pointwise(x, weight, bias)
    if not (torch.compiler.is_compiling() and torch.is_grad_enabled() and x.device.type == "cpu"):
        return F.conv2d(x, weight, bias, *how)
    if torch.is_autocast_enabled("cpu"):
        low = torch.get_autocast_dtype("cpu")
        x, weight, bias = x.to(low), weight.to(low), None if bias is None else bias.to(low)
    y: Tensor = torch.ops.mctc.conv2d(x, weight, *how)
    return y if bias is None else y + bias[:, None, None]


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """conv2d of a 1x1 kernel as a product of matrices: x (B, in, F, S), weight (out, in, 1, 1).

    cuDNN plans a convolution anew for each shape that it meets, in 0.5 ms of the host for each, and copies to
    channels-last and back.
    """
    flat, matrix = x.flatten(2), weight.flatten(1).expand(len(x), -1, -1)
    y = matrix.bmm(flat) if bias is None else torch.baddbmm(bias[:, None], matrix, flat)
    return y.reshape(*y.shape[:2], *x.shape[2:])


def _forward(x: Tensor, weight: Tensor, *how: Any) -> Tensor:
    with torch.autocast("cpu", enabled=False):
        return F.conv2d(x, weight, None, *how).contiguous()


def _forward_fake(x: Tensor, weight: Tensor, *how: Any) -> Tensor:
    stride, padding, dilation, _ = how
    sizes = zip(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    return x.new_empty(
        x.shape[0],
        weight.shape[0],
        *((n + 2 * pad - apart * (k - 1) - 1) // step + 1 for n, k, step, pad, apart in sizes),
    )


def _backward(dy: Tensor, x: Tensor, weight: Tensor, *how: Any) -> tuple[Tensor, Tensor]:
    *pairs, groups = how
    with torch.autocast("cpu", enabled=False):
        dx, dweight, _ = torch.ops.aten.convolution_backward(
            dy.contiguous(), x, weight, None, *pairs, False, [0, 0], groups, [True, True, False]
        )
    return dx.contiguous(), dweight.contiguous()


def _backward_fake(_: Tensor, x: Tensor, weight: Tensor, *__: Any) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), weight.new_empty(weight.shape)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, *ctx.how = inputs
    ctx.save_for_backward(x, weight)


def _differentiate(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    return (*torch.ops.mctc.conv2d_backward(dy, *ctx.saved_tensors, *ctx.how), None, None, None, None)


def _register() -> None:
    op = torch.library.custom_op(
        "mctc::conv2d", _forward, mutates_args=(), schema=f"(Tensor x, Tensor weight, {HOW}) -> Tensor"
    )
    op.register_fake(_forward_fake)
    op.register_autograd(_differentiate, setup_context=_keep)
    gradient = torch.library.custom_op(
        "mctc::conv2d_backward",
        _backward,
        mutates_args=(),
        schema=f"(Tensor dy, Tensor x, Tensor weight, {HOW}) -> (Tensor dx, Tensor dweight)",
    )
    gradient.register_fake(_backward_fake)


# A training repository's copy of this file and mctc's own may be imported in one process: the first registers.
if not hasattr(torch.ops.mctc, "conv2d"):
    _register()
