"""The two passes of the selective scan's launch code, and what they have to give: the definition in fp64.

A check is called to launch the kernels, and gives the error as a multiple of what is tolerated. What a pass needs of
another comes before, when the check is made.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from mctc.targets.torch.runtime import selective_scan_gpu
from mctc.targets.torch.runtime.selective_scan_reference import sequential

from .errors import Check, worst

OPTIONAL = ("D", "z", "delta_bias", "h")
ORDER = ("x", "delta", "A", "B", "C", *OPTIONAL)
# Relative to the largest value: fp32 sums in another order; otherwise one rounding of a result.
TOLERANCE = {torch.float32: 1e-5, torch.float16: 1e-3, torch.bfloat16: 8e-3}

Inputs = dict[str, Tensor | None]


@dataclass(frozen=True)
class Case:
    length: int
    state: int
    batch: int = 2
    channels: int = 6
    groups: int = 1
    dtype: torch.dtype = torch.float32
    given: tuple[str, ...] = OPTIONAL
    softplus: bool = True
    views: bool = False
    """x and z, B and C are slices of wider tensors, as a model's projections leave them."""

    @property
    def tolerance(self) -> float:
        return TOLERANCE[self.dtype]

    @functools.cached_property
    def inputs(self) -> Inputs:
        random = torch.Generator().manual_seed(self.length * 1000 + self.state)

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=random)

        over_time = (self.batch, self.channels, self.length)
        x, z, _ = normal(self.batch, 3 * self.channels, self.length).to(self.dtype).split(self.channels, 1)
        states = self.groups * self.state
        B, C, _ = normal(self.batch, 2 * states + 3, self.length).to(self.dtype).split([states, states, 3], 1)
        B, C = (each.unflatten(1, (self.groups, self.state)) for each in (B, C))
        values: Inputs = {
            "x": x,
            "delta": (normal(*over_time) if self.softplus else 0.3 * normal(*over_time).abs()).to(self.dtype),
            "A": -0.1 - 2 * normal(self.channels, self.state).abs(),
            "B": B,
            "C": C,
            "D": normal(self.channels),
            "z": z,
            "delta_bias": normal(self.channels) if self.softplus else 0.1 * normal(self.channels).abs(),
            "h": normal(self.batch, self.channels, self.state),
        }
        kept = {name: None if name in OPTIONAL and name not in self.given else values[name] for name in ORDER}
        return kept if self.views else {name: each if each is None else each.clone() for name, each in kept.items()}

    @functools.cached_property
    def output_gradients(self) -> tuple[Tensor, Tensor]:
        random = torch.Generator().manual_seed(1)
        dy = torch.randn(self.batch, self.channels, self.length, generator=random).to(self.dtype)
        return dy, torch.randn(self.batch, self.channels, self.state, generator=random)

    @functools.cached_property
    def expected(self) -> tuple[list[Tensor], list[Tensor]]:
        """y and the last state; the gradient of every input that is given."""
        wide = {name: None if each is None else each.double().requires_grad_() for name, each in self.inputs.items()}
        outputs = sequential(*wide.values(), softplus=self.softplus)
        leaves = [each for each in wide.values() if each is not None]
        gradients = torch.autograd.grad(outputs, leaves, [each.double() for each in self.output_gradients])
        return [each.detach() for each in outputs], list(gradients)

    def forward(self) -> tuple[Tensor, Tensor, Tensor]:
        return selective_scan_gpu.forward(*self.inputs.values(), self.softplus)

    def backward(self, checkpoints: Tensor) -> list[Tensor]:
        inputs = self.inputs.values()
        gradients = selective_scan_gpu.backward(*self.output_gradients, *inputs, checkpoints, self.softplus)
        absent = [gradient for gradient, each in zip(gradients, inputs, strict=True) if each is None]
        assert not any(gradient.numel() for gradient in absent)
        return [gradient for gradient, each in zip(gradients, inputs) if each is not None]


CASES = {
    "one step": Case(1, 16),
    "one state": Case(33, 1),
    "three states, several tiles, ragged": Case(70, 3),
    "sixteen states, many channels": Case(37, 16, batch=1, channels=45),
    "seventeen states": Case(19, 17),
    "more states than a SIMD group's lanes": Case(10, 64, batch=1),
    "the most states": Case(6, 256, batch=1, channels=3),
    "two groups": Case(21, 16, channels=10, groups=2),
    "a group a channel": Case(18, 5, channels=3, groups=3),
    "nothing optional": Case(33, 4, given=(), softplus=False),
    "D alone": Case(17, 4, given=("D",)),
    "z alone": Case(17, 4, given=("z",)),
    "a bias alone, no softplus": Case(17, 4, given=("delta_bias",), softplus=False),
    "a first state alone": Case(17, 4, given=("h",)),
    "views": Case(35, 8, channels=5, views=True),
    "fp16": Case(34, 16, dtype=torch.float16, views=True),
    "bf16": Case(67, 16, dtype=torch.bfloat16, groups=2),
    "several blocks of channels": Case(20, 3, batch=1, channels=150),
}


# How the work is cut. Only long sequences are cut into chunks, and only many channels share a partial sum.
AS_CHOSEN, IN_CHUNKS, ONE_SUM = "as chosen", "chunks of one interval", "one partial sum"
LAYOUTS = [AS_CHOSEN, IN_CHUNKS, ONE_SUM]


def cut(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on, launches are laid out so."""
    chosen = selective_scan_gpu.plan

    def changed(x: Tensor, A: Tensor, B: Tensor) -> selective_scan_gpu.Plan:
        plan = chosen(x, A, B)
        if layout == IN_CHUNKS:
            return replace(plan, forward_chunk=plan.interval, backward_chunk=plan.interval)
        return replace(plan, partials=1) if layout == ONE_SUM else plan

    monkeypatch.setattr(selective_scan_gpu, "plan", changed)


def forward_check(name: str) -> Check:
    case = CASES[name]
    return lambda: worst(case.forward()[:2], case.expected[0]) / case.tolerance


def backward_check(name: str) -> Check:
    case = CASES[name]
    checkpoints = case.forward()[2]
    return lambda: worst(case.backward(checkpoints), case.expected[1]) / case.tolerance
