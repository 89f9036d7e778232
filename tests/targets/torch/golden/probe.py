"""probe as PyTorch modules, made by mctc from probe.mct: change the spec, not this file.

Tensors are laid out as the Neural Engine computes, (B, C, 1, S), time last. `forward` takes whole utterances,
`step` one chunk of a stream and its state; the names of the state_dict are the spec's, so `mctc build --weights`
takes a checkpoint as it is. Beside this file lie the modules that it imports; all of them need torch alone.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .fake_quantize import FakeQuantizer, Quantize
from .initial import kaiming_uniform, normal, uniform
from .layers import Block

INT4 = Quantize("int4", 4)
INT8 = Quantize("int8", 8)


class LinearBlock(Block):
    """Block `linear`, as `wide.up`."""

    weight: Tensor
    bias: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.new_parameter("weight", (16500, 64), kaiming_uniform(fan_in=64))
        self.new_parameter("bias", (16500,), uniform(0.125))
        self.weight_slice_quantizer = FakeQuantizer(INT4)
        self.weight_slice_1_quantizer = FakeQuantizer(INT4)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, 64, 1, T) to (B, 16500, 1, T)."""
        y = F.conv2d(x, self.weight_slice_quantizer(self.weight.reshape(16500, 64, 1, 1)[:8256]), self.bias[:8256])
        y1 = F.conv2d(
            x, self.weight_slice_1_quantizer(self.weight.reshape(16500, 64, 1, 1)[8256:16500]), self.bias[8256:16500]
        )
        return torch.cat([y, y1], dim=1)


class LinearBlock2(Block):
    """Block `linear`, as `wide.down`."""

    weight: Tensor
    bias: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.new_parameter("weight", (64, 16500), kaiming_uniform(fan_in=16500))
        self.new_parameter("bias", (64,), uniform(0.007784989441615229))
        self.weight_slice_quantizer = FakeQuantizer(INT4)
        self.weight_slice_1_quantizer = FakeQuantizer(INT4)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, 16500, 1, T) to (B, 64, 1, T)."""
        y, y1 = x.split([8256, 8244], dim=1)
        y2 = F.conv2d(y, self.weight_slice_quantizer(self.weight.reshape(64, 16500, 1, 1)[:, :8256]), self.bias)
        y3 = F.conv2d(y1, self.weight_slice_1_quantizer(self.weight.reshape(64, 16500, 1, 1)[:, 8256:16500]))
        return y2 + y3


class Wide(Block):
    """Component `wide` of probe."""

    def __init__(self) -> None:
        super().__init__()
        self.up = LinearBlock()
        self.down = LinearBlock2()

    def forward(self, x: Tensor, shared: Tensor) -> Tensor:
        """x (B, 64, 1, T), shared (64, 64, 1, 1) to (B, 64, 1, T)."""
        return F.conv2d(self.down(self.up(x)), shared)


class Narrow(Block):
    """Component `narrow` of probe."""

    def forward(self, x: Tensor, shared: Tensor) -> Tensor:
        """x (B, 64, 1, T), shared (64, 64, 1, 1) to (B, 64, 1, T)."""
        return torch.tanh(F.conv2d(x, shared))


class Joined(Block):
    """Component `joined` of probe."""

    upper: Tensor
    lower: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.new_parameter("upper", (32, 64), normal(std=0.1))
        self.new_parameter("lower", (16, 64), normal(std=0.1))
        self.upper_quantizer = FakeQuantizer(INT8)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, 64, 1, T) to (B, 48, 1, T)."""
        return F.conv2d(x, self.upper_quantizer(torch.cat([self.upper, self.lower], dim=0).reshape(48, 64, 1, 1)))


class Tied(Block):
    """Block `tied`, as `output.tied`."""

    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.new_parameter("weight", (256, 64), normal(std=1))
        self.weight_quantizer = FakeQuantizer(INT8)
        self.weight_reshape_quantizer = FakeQuantizer(INT8)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, 1, 1, U) to (B, 256, 1, U)."""
        y = F.embedding(x.squeeze(1), self.weight_quantizer(self.weight)).movedim(-1, 1)
        return F.conv2d(y, self.weight_reshape_quantizer(self.weight.reshape(256, 64, 1, 1)))


class Output(Block):
    """Component `output` of probe."""

    def __init__(self) -> None:
        super().__init__()
        self.tied = Tied()

    def forward(self, token: Tensor) -> Tensor:
        """token (B, 1, 1, U) to (B, 256, 1, U)."""
        return self.tied(token)


class Probe(Block):
    """The model probe."""

    shared: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.new_parameter("shared", (64, 64, 1, 1), normal(std=0.1), INT8)
        self.wide = Wide()
        self.narrow = Narrow()
        self.joined = Joined()
        self.output = Output()
