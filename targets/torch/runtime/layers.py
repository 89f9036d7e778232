"""Layers on laid-out tensors (B, C, 1, S), time last, and the base of the classes that are built of them.

A layer's parameters carry the names that the spec gives them, so that a state_dict reads like the spec. `initial` says
how some of them start where that is not the layer's custom; `quantize` how the package will store its weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from . import functional
from .convolution_op import conv2d
from .depthwise_op import depthwise, takes
from .fake_quantize import FakeQuantizer, Quantize
from .initial import Initial, constant, kaiming_uniform, normal, ones, uniform, zeros
from .input_quantizer import InputQuantizer
from .precision import narrowed
from .recompute import is_again, recomputed

Initials = Mapping[str, Initial]
Quantized = Quantize | Mapping[str, Quantize] | None


class Block(nn.Module):
    """Base of every module here and of every block of a spec."""

    kind: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kind", torch.empty(0), persistent=False)  # the device and type that this module is of
        self.initial: dict[str, Initial] = {}
        self.gradient_checkpointing = False

    def new_parameter(
        self, name: str, shape: Sequence[int], initial: Initial, quantize: Quantize | None = None
    ) -> None:
        """Registers the parameter `name`, which starts as `initial` and is stored as `quantize` says."""
        self.register_parameter(name, nn.Parameter(torch.empty(tuple(shape))))
        self._start(name, initial, quantize)

    def new_statistic(self, name: str, shape: Sequence[int], initial: Initial) -> None:
        """Registers the buffer `name`: part of the state_dict, but nothing that an optimiser moves."""
        self.register_buffer(name, torch.empty(tuple(shape)))
        self._start(name, initial, None)

    def _start(self, name: str, initial: Initial, quantize: Quantize | None) -> None:
        self.initial[name] = initial
        initial(getattr(self, name))
        if quantize is not None:
            self.add_module(f"{name}_quantizer", FakeQuantizer(quantize))

    def stored(self, name: str) -> Tensor:
        """The parameter `name` as the package will hold it: fake-quantised where it is stored in a few bits."""
        value: Tensor = getattr(self, name)
        quantizer = self._modules.get(f"{name}_quantizer")
        return value if quantizer is None else quantizer(value)

    def reset_parameters(self) -> None:
        """Draws every parameter in here anew."""
        for module in self.modules():
            if isinstance(module, Block):
                for name, rule in module.initial.items():
                    rule(getattr(module, name))

    def set_gradient_checkpointing(self, on: bool) -> None:
        """Whether repeated layers compute their activations again in the backward pass: slower, in far less memory."""
        for module in self.modules():
            if isinstance(module, Block):
                module.gradient_checkpointing = on

    def set_synchronised_norms(self, on: bool) -> None:
        """Whether batch norms in training take the statistics of the batches of all processes (torch.distributed)."""
        for module in self.modules():
            if isinstance(module, BatchNorm):
                module.together = on

    def set_rates(self, name: str, rates: Mapping[str, float]) -> None:
        """Sets the attribute `name` of the blocks at these paths: how often each of them drops what it does."""
        for path, rate in rates.items():
            setattr(self.get_submodule(path), name, rate)

    def zeros(self, *shape: int) -> Tensor:
        """Zeros of a shape, on the device and of the type of this module."""
        return self.kind.new_zeros(shape)

    def run(self, layer: nn.Module, *arguments: Any) -> Any:
        """layer(*arguments), recomputed in the backward pass when gradient checkpointing is on."""
        if self.gradient_checkpointing and torch.is_grad_enabled():
            return recomputed(layer, *arguments)
        return layer(*arguments)


class Layer(Block):
    """Base of the layers: what `initial` and `quantize` mean for them."""

    def __init__(self, initial: Initials | None, quantize: Quantized) -> None:
        super().__init__()
        self._asked, self._quantize = dict(initial or {}), quantize

    def weight_of(self, name: str, shape: Sequence[int], usual: Initial) -> None:
        """A weight matrix or kernel: what `quantize` is about."""
        how = self._quantize.get(name) if isinstance(self._quantize, Mapping) else self._quantize
        self.new_parameter(name, shape, self._asked.get(name, usual), how)

    def vector(self, name: str, size: int, usual: Initial, present: bool = True) -> None:
        """A bias or a factor a channel; None where the layer goes without."""
        if present:
            self.new_parameter(name, (size,), self._asked.get(name, usual))
        else:
            self.register_parameter(name, None)

    def extra_repr(self) -> str:
        shapes = [f"{name} {tuple(value.shape)}" for name, value in self.named_parameters(recurse=False)]
        return ", ".join(shapes)


class ActivationQuantizer(Layer):
    """What the next layer is given, in 8 bits, as the package holds it: steps of `scale`, which `mctc compress` finds.

    `set_quantization` switches it as it does weights; until then x stays as it is.
    """

    scale: Tensor

    def __init__(self, *, initial: Initials | None = None) -> None:
        super().__init__(initial, None)
        self.new_statistic("scale", (), self._asked.get("scale", constant(4 / 127)))
        self.scale_quantizer = InputQuantizer()

    def forward(self, x: Tensor) -> Tensor:
        """x of any shape."""
        quantized: Tensor = self.scale_quantizer(x, self.scale)
        return quantized


class Conv2d(Layer):
    """Convolution of (B, C, features, S) along features and time; kernel, stride and dilation are in that order.

    `pad` and `pad_feature` are the zeros (before, after) along time and along the features. A step, which has the
    frames before its chunk at hand, calls with pad=(0, 0).
    """

    weight: nn.Parameter
    bias: nn.Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, int] = (1, 1),
        *,
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        groups: int = 1,
        bias: bool = True,
        pad: tuple[int, int] = (0, 0),
        pad_feature: tuple[int, int] = (0, 0),
        initial: Initials | None = None,
        quantize: Quantized = None,
    ) -> None:
        super().__init__(initial, quantize)
        self.stride, self.dilation, self.groups, self.pad, self.pad_feature = stride, dilation, groups, pad, pad_feature
        fan_in = in_channels // groups * kernel[0] * kernel[1]
        self.weight_of("weight", (out_channels, in_channels // groups, *kernel), kaiming_uniform(fan_in))
        self.vector("bias", out_channels, uniform(1 / math.sqrt(fan_in)), bias)

    def forward(self, x: Tensor, pad: tuple[int, int] | None = None, valid: Tensor | None = None) -> Tensor:
        """x (B, in, F, S) to (B, out, F', S'). `valid` (B, S) keeps a kernel that looks ahead from seeing padding."""
        weight = self.stored("weight")
        x = narrowed(x, weight)
        if valid is not None:
            x = functional.masked(x, valid)
        before, after = self.pad if pad is None else pad
        low, high = self.pad_feature
        if takes(x, weight, self.stride, self.dilation, self.groups, (before, after), (low, high)):
            return depthwise(x, weight, self.bias)
        if before != after or low != high:  # convolution itself pads both sides alike, without a copy
            x, before, low = F.pad(x, (before, after, low, high)), 0, 0
        return conv2d(x, weight, self.bias, self.stride, (low, before), self.dilation, self.groups)

    def extra_repr(self) -> str:
        text = f"{super().extra_repr()}, stride={self.stride}, pad={self.pad}"
        return text + (f", groups={self.groups}" if self.groups > 1 else "")


class Linear(Layer):
    """weight @ x + bias over the channels of (B, C, ...), whatever axes follow; weight (out, in)."""

    weight: nn.Parameter
    bias: nn.Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        bias: bool = True,
        initial: Initials | None = None,
        quantize: Quantized = None,
    ) -> None:
        super().__init__(initial, quantize)
        self.weight_of("weight", (out_channels, in_channels), kaiming_uniform(in_channels))
        self.vector("bias", out_channels, uniform(1 / math.sqrt(in_channels)), bias)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.stored("weight")
        return F.linear(narrowed(x, weight).movedim(1, -1), weight, self.bias).movedim(-1, 1)


class LayerNorm(Layer):
    """(x - mean) / sqrt(variance + eps) over the channels of each frame, times weight plus bias."""

    weight: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(
        self,
        channels: int,
        *,
        eps: float = 1e-5,
        weight: bool = True,
        bias: bool = True,
        initial: Initials | None = None,
        quantize: Quantized = None,
    ) -> None:
        super().__init__(initial, quantize)
        self.eps = eps
        self.vector("weight", channels, ones(), weight)
        self.vector("bias", channels, zeros(), bias)

    def forward(self, x: Tensor) -> Tensor:
        return functional.layer_norm(x, self.weight, self.bias, eps=self.eps)


class RMSNorm(Layer):
    """x / sqrt(mean(x^2) + eps) over the channels of each frame, times weight."""

    weight: nn.Parameter | None

    def __init__(
        self,
        channels: int,
        *,
        eps: float = 1e-5,
        weight: bool = True,
        initial: Initials | None = None,
        quantize: Quantized = None,
    ) -> None:
        super().__init__(initial, quantize)
        self.eps = eps
        self.vector("weight", channels, ones(), weight)

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, self.weight, eps=self.eps)


class BatchNorm(Layer):
    """Batch normalisation of each channel: by the batch's statistics in training, by the running ones in evaluation.

    In training the running statistics move by `momentum` towards the batch's (its unbiased variance, as torch has it).
    together: the batch is that of all processes.
    """

    together = False

    weight: nn.Parameter | None
    bias: nn.Parameter | None
    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self,
        channels: int,
        *,
        eps: float = 1e-5,
        momentum: float = 0.1,
        weight: bool = True,
        bias: bool = True,
        initial: Initials | None = None,
        quantize: Quantized = None,
    ) -> None:
        super().__init__(initial, quantize)
        self.eps, self.momentum = eps, momentum
        self.vector("weight", channels, ones(), weight)
        self.vector("bias", channels, zeros(), bias)
        self.new_statistic("running_mean", (channels,), self._asked.get("running_mean", zeros()))
        self.new_statistic("running_var", (channels,), self._asked.get("running_var", ones()))

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """x (B, C, 1, S) to the same. `valid` (B, S) keeps padding out of the batch's statistics."""
        x = narrowed(x, self.weight)
        if self.training and (valid is not None or self.together):
            return self._masked(x, x.new_ones(x.shape[0], x.shape[-1]) if valid is None else valid)
        mean, variance = self.running_mean, self.running_var
        if self.training and is_again():  # what is kept for the backward pass must be alike, so copies move instead
            mean, variance = mean.clone(), variance.clone()
        return F.batch_norm(x, mean, variance, self.weight, self.bias, self.training, self.momentum, self.eps)

    def _masked(self, x: Tensor, valid: Tensor) -> Tensor:
        """By the statistics of the frames that exist. At least one must."""
        mean, variance, count = functional.masked_moments(x, valid, together=self.together)
        if not is_again():
            self._follow(mean, variance, count)
        scale = torch.rsqrt(variance + self.eps)
        scale = scale if self.weight is None else scale * self.weight
        shift = -mean * scale if self.bias is None else self.bias - mean * scale
        return (x * scale[:, None, None] + shift[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        unbiased = variance * (count / (count - 1).clamp(min=1))
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)


class Embedding(Layer):
    """Rows of the table weight (entries, channels) by token id: (B, 1, 1, U) of ids to (B, channels, 1, U)."""

    weight: nn.Parameter

    def __init__(
        self, entries: int, channels: int, *, initial: Initials | None = None, quantize: Quantized = None
    ) -> None:
        super().__init__(initial, quantize)
        self.weight_of("weight", (entries, channels), normal())

    def forward(self, token: Tensor) -> Tensor:
        return F.embedding(token.squeeze(1), self.stored("weight")).movedim(-1, 1)


class LSTM(Layer):
    """A long short-term memory, gates i, f, g, o; states start at zero where none are given.

    x (B, in, 1, S) gives y (B, hidden, 1, S) and the states h, c (B, hidden, 1, 1) after the last frame. `mask`, (S,)
    or (B, S): a frame of 0 leaves the states as they were (the final states are then those of each utterance's end).
    """

    weight_ih: nn.Parameter
    weight_hh: nn.Parameter
    bias: nn.Parameter | None

    def __init__(
        self,
        in_channels: int,
        hidden: int,
        *,
        bias: bool = True,
        initial: Initials | None = None,
        quantize: Quantized = None,
    ) -> None:
        super().__init__(initial, quantize)
        usual = uniform(1 / math.sqrt(hidden))
        self.weight_of("weight_ih", (4 * hidden, in_channels), usual)
        self.weight_of("weight_hh", (4 * hidden, hidden), usual)
        self.vector("bias", 4 * hidden, usual, bias)

    def forward(
        self, x: Tensor, h: Tensor | None = None, c: Tensor | None = None, *, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        return functional.lstm(x, self.stored("weight_ih"), self.stored("weight_hh"), self.bias, h, c, mask=mask)


class GRU(Layer):
    """A gated recurrent unit, gates r, z, n; the state starts at zero where none is given.

    x (B, in, 1, S) gives y (B, hidden, 1, S) and the state h (B, hidden, 1, 1) after the last frame; `mask` as in LSTM.
    """

    weight_ih: nn.Parameter
    weight_hh: nn.Parameter
    bias_ih: nn.Parameter | None
    bias_hh: nn.Parameter | None

    def __init__(
        self,
        in_channels: int,
        hidden: int,
        *,
        bias_ih: bool = True,
        bias_hh: bool = True,
        initial: Initials | None = None,
        quantize: Quantized = None,
    ) -> None:
        super().__init__(initial, quantize)
        usual = uniform(1 / math.sqrt(hidden))
        self.weight_of("weight_ih", (3 * hidden, in_channels), usual)
        self.weight_of("weight_hh", (3 * hidden, hidden), usual)
        self.vector("bias_ih", 3 * hidden, usual, bias_ih)
        self.vector("bias_hh", 3 * hidden, usual, bias_hh)

    def forward(self, x: Tensor, h: Tensor | None = None, *, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        weights = self.stored("weight_ih"), self.stored("weight_hh"), self.bias_ih, self.bias_hh
        return functional.gru(x, *weights, h, mask=mask)
