"""Activations in 8 bits, as the package holds them: steps of one fp16 scale, -128 to 127 of them.

    off       nothing
    observe   nothing to the activations; measures what holding them in 8 bits costs
    on        clip(round(x / scale), -128, 127) * scale, ties to even: bit for bit what the package makes of x in fp32

Rounding passes gradients straight through; where a step is clipped they stop. Of the scale, which is a buffer unless it
is made a parameter, the gradient is that of Esser et al. (2020, arXiv:1902.08153, section 2.1).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .fake_quantize import SMALLEST, Quantizer, decibels

LOW, HIGH = -128, 127


class InputQuantizer(Quantizer):
    """What a layer's input becomes in 8 bits. The layer that owns the buffer `scale` calls it `scale_quantizer`."""

    def __init__(self) -> None:
        super().__init__("activations in int8")

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        """x, of the same shape and dtype; in mode "on", as the package will hold it. scale: ()."""
        if self.mode == "on":
            return fake_quantize(x, scale)
        if self.mode == "observe":
            with torch.no_grad():
                self._observe(x.detach(), scale.detach())
        return x

    def _observe(self, x: Tensor, scale: Tensor) -> None:
        self.scale = held(scale)
        self.snr = decibels(x.float(), fake_quantize(x, scale).float())
        steps = (x.float() / self.scale).round()
        self.saturated = ((steps <= LOW) | (steps >= HIGH)).float().mean()


def fake_quantize(x: Tensor, scale: Tensor) -> Tensor:
    """clip(round(x / scale), -128, 127) * scale, the scale rounded to fp16. Of x's shape and dtype."""
    values: Tensor = torch.ops.mctc.fake_quantize_input(x, scale)
    return values


def held(scale: Tensor) -> Tensor:
    """The scale as the package holds it, in fp32."""
    return scale.float().half().float().clamp(min=SMALLEST)


def _quantized(x: Tensor, scale: Tensor) -> Tensor:
    step = held(scale)
    return ((x.float() / step).round().clamp(LOW, HIGH) * step).to(x.dtype)


def _shape(x: Tensor, scale: Tensor) -> Tensor:
    """The result without its values, for compilers."""
    return torch.empty_like(x)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, d_values: Tensor) -> tuple[Tensor | None, Tensor | None]:
    x, scale = ctx.saved_tensors
    steps = x.float() / held(scale)
    inside = (steps > LOW - 0.5) & (steps < HIGH + 0.5)
    d_scale = None
    if ctx.needs_input_grad[1]:
        moved = torch.where(inside, steps.round() - steps, steps.clamp(LOW, HIGH))
        d_scale = (d_values.float() * moved).sum().to(scale.dtype).reshape(scale.shape)
    return d_values * inside, d_scale


if not hasattr(torch.ops.mctc, "fake_quantize_input"):  # another copy of this file may be loaded already
    _op = torch.library.custom_op(
        "mctc::fake_quantize_input", _quantized, mutates_args=(), schema="(Tensor x, Tensor scale) -> Tensor"
    )
    _op.register_fake(_shape)
    _op.register_autograd(_backward, setup_context=_setup)
