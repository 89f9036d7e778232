"""A causal convolution of each channel by itself: `mctc::depthwise` on NVIDIA GPUs, where cuDNN has no fast kernel.

The gradient of its taps, a sum over batch and time for each channel, takes torch's kernel longer than the rest of the
layer; here one pass over x and dy finds both gradients.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .triton_there import triton_runs

ROWS, FRAMES = 8, 256

Pair = tuple[int, int]


def takes(
    x: Tensor, weight: Tensor, stride: Pair, dilation: Pair, groups: int, pad: Pair, pad_feature: Pair = (0, 0)
) -> bool:
    """Whether the kernels run there, and this convolution is one of theirs: each channel by itself, of no frame ahead.

    Where a function mode looks at what is called, torch's own convolution is what it knows.
    """
    channels, of_group, height, taps = weight.shape
    return (
        x.device.type == "cuda"
        and (x.shape[2], of_group, height, groups) == (1, 1, 1, channels)
        and (stride, dilation, pad, pad_feature) == ((1, 1), (1, 1), (taps - 1, 0), (0, 0))
        and x.dtype != torch.float64
        and (torch.compiler.is_compiling() or torch._C._len_torch_function_stack() == 0)
        and triton_runs(x.device)
    )


def depthwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x (B, C, 1, L), weight (C, 1, 1, taps), bias (C,): as after taps - 1 zeros in front. Sums are fp32."""
    if torch.is_autocast_enabled("cuda"):
        x = x.to(torch.get_autocast_dtype("cuda"))
    y: Tensor = torch.ops.mctc.depthwise(x, weight, bias)
    return y


def _rows_inside(each: Tensor) -> Tensor:
    return each if each.stride(-1) == 1 else each.contiguous()


def _grid(x: Tensor) -> tuple[int, int, int]:
    batch, channels, _, length = x.shape
    return -(-length // FRAMES), -(-channels // ROWS), batch


def forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    from . import depthwise_triton

    x, weight = _rows_inside(x), weight.contiguous()
    y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    depthwise_triton.forward[_grid(x)](
        x, weight, weight if bias is None else bias, y, x.stride(0), x.stride(1), x.shape[1], x.shape[3],
        TAPS=weight.shape[3], HAS_BIAS=bias is not None, ROWS=ROWS, FRAMES=FRAMES,
    )  # fmt: skip
    return y


def backward(dy: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    from . import depthwise_triton

    dy, x, weight = _rows_inside(dy), _rows_inside(x), weight.contiguous()
    grid, taps = _grid(x), weight.shape[3]
    columns = 1 << taps.bit_length()  # of the taps, and one of the bias behind them
    dx = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    parts = torch.empty(grid[2] * grid[0], x.shape[1], columns, dtype=torch.float32, device=x.device)
    depthwise_triton.backward[grid](
        dy, x, weight, dx, parts, dy.stride(0), dy.stride(1), x.stride(0), x.stride(1), x.shape[1], x.shape[3], grid[0],
        TAPS=taps, COLUMNS=columns, ROWS=ROWS, FRAMES=FRAMES,
    )  # fmt: skip
    sums = parts.sum(0).to(weight.dtype)
    return dx, sums[:, :taps].reshape(weight.shape).clone(), sums[:, taps].clone()


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, bias = inputs
    ctx.save_for_backward(x, weight)
    ctx.has_bias = bias is not None


def _differentiate(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    dx, dweight, dbias = torch.ops.mctc.depthwise_backward(dy, *ctx.saved_tensors)
    return dx, dweight, dbias if ctx.has_bias else None


def _register() -> None:
    op = torch.library.custom_op(
        "mctc::depthwise", forward, mutates_args=(), schema="(Tensor x, Tensor weight, Tensor? bias) -> Tensor"
    )
    op.register_fake(lambda x, weight, bias: x.new_empty(x.shape))
    op.register_autograd(_differentiate, setup_context=_keep)
    gradient = torch.library.custom_op(
        "mctc::depthwise_backward", backward, mutates_args=(),
        schema="(Tensor dy, Tensor x, Tensor weight) -> (Tensor dx, Tensor dweight, Tensor dbias)",
    )  # fmt: skip
    gradient.register_fake(
        lambda dy, x, weight: (x.new_empty(x.shape), weight.new_empty(weight.shape), weight.new_empty(len(weight)))
    )


# A training repository's copy of this file and mctc's own may be imported in one process: the first registers.
if not hasattr(torch.ops.mctc, "depthwise"):
    _register()
