"""`mctc::ssd` and its backward as operations that autograd, autocast, torch.compile and torch.export know.

Triton kernels compute it on NVIDIA GPUs, batched matrix products of torch elsewhere.
"""

# ruff: noqa: N806 - the names of the paper

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import ssd_gpu
from .ssd_chunked import chunked
from .ssd_sizes import Sizes

INPUTS = "Tensor x, Tensor weight, Tensor decay, Tensor B, Tensor C, Tensor? D, Tensor? h"
FORWARD = f"({INPUTS}, int groups, bool keep) -> (Tensor y, Tensor last, Tensor stored)"
BACKWARD = (
    f"(Tensor dy, Tensor dlast, {INPUTS}, Tensor stored, int groups) -> (Tensor dx, Tensor dweight, Tensor ddecay, "
    "Tensor dB, Tensor dC, Tensor dD, Tensor dh)"
)
ORDER = ("x", "weight", "decay", "B", "C", "D", "h")
NARROW = frozenset({"x", "B", "C"})  # in x's type, the others in the type that is computed in


def _forward(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    *inputs, groups, keep = arguments
    x, weight, _, B, *_ = inputs
    if ssd_gpu.supports(x, Sizes.of(x, weight, B, groups)):
        return ssd_gpu.forward(*_laid_out(inputs, groups, keep))
    y, last = chunked(*arguments[:-1])
    return y.contiguous(), last.contiguous(), x.new_empty(0)


def _forward_fake(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    *inputs, groups, keep = arguments
    x, weight, _, B, *_ = inputs
    n = Sizes.of(x, weight, B, groups)
    fast = keep and x.device.type == "cuda" and ssd_gpu.supports(x, n)
    last = x.new_empty(x.shape[0], n.heads * n.width, n.states, dtype=torch.promote_types(x.dtype, torch.float32))
    stored = ssd_gpu.room(x, n) if fast else x.new_empty(0)
    return torch.empty_like(x, memory_format=torch.contiguous_format), last, stored


def _backward(dy: Tensor, dlast: Tensor, *arguments: Any) -> tuple[Tensor, ...]:
    *inputs, stored, groups = arguments
    with torch.autocast(dy.device.type, enabled=False):  # where backward() is called inside of autocast
        return ssd_gpu.backward(_frames_inside(dy), dlast.contiguous(), *_laid_out(inputs, stored, groups))


def _recomputed(dy: Tensor, dlast: Tensor, inputs: Any, groups: int) -> tuple[Tensor, ...]:
    """By autograd, from the inputs alone: nothing of the forward pass has to be kept."""
    leaves: list[Any] = [None if each is None else each.detach().requires_grad_() for each in inputs]
    with torch.enable_grad(), torch.autocast(dy.device.type, enabled=False):
        results = chunked(*[*leaves, groups])
    given = [each for each in leaves if each is not None]
    found = iter(torch.autograd.grad(results, given, (dy, dlast)))
    return tuple(inputs[0].new_empty(0) if each is None else next(found) for each in leaves)


def _backward_fake(dy: Tensor, dlast: Tensor, *arguments: Any) -> tuple[Tensor, ...]:
    inputs, x = arguments[:-2], arguments[0]
    return tuple(
        x.new_empty(0) if each is None else torch.empty_like(each, memory_format=torch.contiguous_format)
        for each in inputs
    )


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    *tensors, groups, _ = inputs
    ctx.save_for_backward(*tensors, output[2])
    ctx.groups = groups
    ctx.set_materialize_grads(False)  # no zeros for the stored states, whose gradient nobody has


def _differentiate(ctx: Any, dy: Tensor | None, dlast: Tensor | None, _: Tensor | None) -> tuple[Tensor | None, ...]:
    *inputs, stored = ctx.saved_tensors
    x, weight, _decay, B, *_rest = inputs
    n = Sizes.of(x, weight, B, ctx.groups)
    dy = torch.zeros_like(x) if dy is None else dy
    dlast = weight.new_zeros(x.shape[0], x.shape[1], n.states) if dlast is None else dlast
    if ssd_gpu.supports(x, n):
        found = torch.ops.mctc.ssd_backward(dy, dlast, *inputs, stored, ctx.groups)
    else:
        found = _recomputed(dy, dlast, inputs, ctx.groups)
    return (*(None if each is None else gradient for each, gradient in zip(inputs, found)), None, None)


def _laid_out(inputs: Any, *rest: Any) -> list[Any]:
    """Views of a split come as they are: only frames have to lie side by side. `rest` goes behind them."""
    laid_out = [
        each if each is None else each.contiguous() if name in ("D", "h") else _frames_inside(each)
        for name, each in zip(ORDER, inputs)
    ]
    return [*laid_out, *rest]


def _frames_inside(each: Tensor) -> Tensor:
    return each if each.stride(-1) == 1 else each.contiguous()


def _register() -> None:
    op = torch.library.custom_op("mctc::ssd", _forward, mutates_args=(), schema=FORWARD)
    op.register_fake(_forward_fake)
    op.register_autograd(_differentiate, setup_context=_keep)
    gradient = torch.library.custom_op("mctc::ssd_backward", _backward, mutates_args=(), schema=BACKWARD)
    gradient.register_fake(_backward_fake)
    for device in ("CPU", "CUDA", "MPS"):
        _autocast.impl("ssd", _autocast_rule(device), f"Autocast{device}", with_keyset=True)  # type: ignore[no-untyped-call]


def _autocast_rule(device: str) -> Any:
    """Under autocast x, B and C take its type, and what is small and precise (weights, decays, states) is fp32."""
    key = torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, f"Autocast{device}"))

    def rule(_: Any, *arguments: Any) -> Any:
        *inputs, groups, keep = arguments
        low = torch.get_autocast_dtype(device.lower())
        cast = [
            each if each is None else each.to(low if name in NARROW else torch.float32)
            for name, each in zip(ORDER, inputs)
        ]
        with torch._C._ExcludeDispatchKeyGuard(key):
            return torch.ops.mctc.ssd(*cast, groups, keep)

    return rule


# A training repository's copy of this file and mctc's own may be imported in one process: the first registers.
_autocast = torch.library.Library("mctc", "FRAGMENT")  # type: ignore[no-untyped-call]
if not hasattr(torch.ops.mctc, "ssd"):
    _register()
