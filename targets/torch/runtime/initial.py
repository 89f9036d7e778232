"""Initial values of parameters: rules that fill a tensor in place.

>>> weight = torch.empty(16, 8)
>>> kaiming_uniform(fan_in=8)(weight)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn


class Initial(Protocol):
    """Fills a tensor in place."""

    def __call__(self, tensor: Tensor) -> None: ...


@dataclass(frozen=True)
class constant:  # noqa: N801  rules are named as a spec names them
    """Every entry `value`."""

    value: float

    @torch.no_grad()
    def __call__(self, tensor: Tensor) -> None:
        tensor.fill_(self.value)


@dataclass(frozen=True)
class zeros:  # noqa: N801
    """Every entry 0."""

    @torch.no_grad()
    def __call__(self, tensor: Tensor) -> None:
        tensor.zero_()


@dataclass(frozen=True)
class ones:  # noqa: N801
    """Every entry 1."""

    @torch.no_grad()
    def __call__(self, tensor: Tensor) -> None:
        tensor.fill_(1)


@dataclass(frozen=True)
class uniform:  # noqa: N801
    """Drawn from -bound ... bound."""

    bound: float

    @torch.no_grad()
    def __call__(self, tensor: Tensor) -> None:
        tensor.uniform_(-self.bound, self.bound)


@dataclass(frozen=True)
class normal:  # noqa: N801
    """Drawn from a normal distribution around 0."""

    std: float = 1.0

    @torch.no_grad()
    def __call__(self, tensor: Tensor) -> None:
        tensor.normal_(0, self.std)


@dataclass(frozen=True)
class truncated_normal:  # noqa: N801
    """Drawn from a normal distribution around 0, and again beyond `cut` standard deviations."""

    std: float = 1.0
    cut: float = 2.0

    @torch.no_grad()
    def __call__(self, tensor: Tensor) -> None:
        drawn = torch.empty_like(tensor, dtype=torch.float32)
        tensor.copy_(nn.init.trunc_normal_(drawn, 0, self.std, -self.cut * self.std, self.cut * self.std))


@dataclass(frozen=True)
class kaiming_uniform:  # noqa: N801
    """Drawn from within gain * sqrt(3 / fan_in); without a gain from within 1 / sqrt(fan_in), torch's default for
    Linear and Conv. A gain of sqrt(2) is He's for rectifiers (He et al. 2015)."""

    fan_in: float
    gain: float = math.sqrt(1 / 3)

    @torch.no_grad()
    def __call__(self, tensor: Tensor) -> None:
        bound = self.gain * math.sqrt(3 / self.fan_in)
        tensor.uniform_(-bound, bound)


@dataclass(frozen=True)
class kaiming_normal:  # noqa: N801
    """Drawn from a normal distribution of standard deviation gain / sqrt(fan_in) (He et al. 2015)."""

    fan_in: float
    gain: float = math.sqrt(2)

    @torch.no_grad()
    def __call__(self, tensor: Tensor) -> None:
        tensor.normal_(0, self.gain / math.sqrt(self.fan_in))


@dataclass(frozen=True)
class xavier_uniform:  # noqa: N801
    """Drawn from within gain * sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""

    fan_in: float
    fan_out: float
    gain: float = 1.0

    @torch.no_grad()
    def __call__(self, tensor: Tensor) -> None:
        bound = self.gain * math.sqrt(6 / (self.fan_in + self.fan_out))
        tensor.uniform_(-bound, bound)


@dataclass(frozen=True)
class xavier_normal:  # noqa: N801
    """Drawn from a normal distribution of standard deviation gain * sqrt(2 / (fan_in + fan_out))."""

    fan_in: float
    fan_out: float
    gain: float = 1.0

    @torch.no_grad()
    def __call__(self, tensor: Tensor) -> None:
        tensor.normal_(0, self.gain * math.sqrt(2 / (self.fan_in + self.fan_out)))


@dataclass(frozen=True)
class orthogonal:  # noqa: N801
    """Orthonormal rows or columns, times the gain, in each of `parts` blocks of rows, such as an LSTM's four gates
    (Saxe et al. 2014). Axes behind the second count as columns."""

    gain: float = 1.0
    parts: int = 1

    @torch.no_grad()
    def __call__(self, tensor: Tensor) -> None:
        for block in tensor.chunk(self.parts):  # a factorisation in fp32 on the CPU, which every device can read
            drawn = torch.empty(block.shape, dtype=torch.float32)
            block.copy_(nn.init.orthogonal_(drawn, self.gain))


@dataclass(frozen=True)
class log_arange:  # noqa: N801
    """log 1 ... log N along the last axis: Mamba's A, as exp gives it back (Gu and Dao, 2023; S4D-Real)."""

    @torch.no_grad()
    def __call__(self, tensor: Tensor) -> None:
        steps = torch.arange(1, tensor.shape[-1] + 1, dtype=torch.float32, device=tensor.device)
        tensor.copy_(steps.log().expand(tensor.shape))


@dataclass(frozen=True)
class delta_bias:  # noqa: N801
    """softplus^-1 of step sizes drawn log-uniformly from low ... high (Mamba's initialisation of dt)."""

    low: float = 1e-3
    high: float = 1e-1

    @torch.no_grad()
    def __call__(self, tensor: Tensor) -> None:
        step = torch.empty_like(tensor, dtype=torch.float32)
        step.uniform_(math.log(self.low), math.log(self.high)).exp_()
        tensor.copy_(step + torch.log(-torch.expm1(-step)))


@dataclass(frozen=True)
class padded:  # noqa: N801
    """`rule` for all but the last `after` entries along `axis`, which are `value`: classes that no token has."""

    rule: Initial
    axis: int
    after: int
    value: float = 0.0

    @torch.no_grad()
    def __call__(self, tensor: Tensor) -> None:
        kept = tensor.shape[self.axis] - self.after
        self.rule(tensor.narrow(self.axis, 0, kept))
        tensor.narrow(self.axis, kept, self.after).fill_(self.value)
