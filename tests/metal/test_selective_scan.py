"""selective_scan.metal, launched as on a Mac and run by the engine, against the definition in fp64."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from mctc.targets.torch.runtime import metal, selective_scan_gpu
from mctc.targets.torch.runtime.selective_scan_reference import sequential

from . import torch_mps
from .conftest import needs_engine

pytestmark = needs_engine

OPTIONAL = ("D", "z", "delta_bias", "h")
ORDER = ("x", "delta", "A", "B", "C", *OPTIONAL)
# Relative to the largest value: fp32 sums in another order; otherwise one rounding of a result.
TOLERANCE = {torch.float32: 1e-5, torch.float16: 1e-3, torch.bfloat16: 8e-3}


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

    def inputs(self) -> dict[str, Tensor | None]:
        random = torch.Generator().manual_seed(self.length * 1000 + self.state)

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=random)

        over_time = (self.batch, self.channels, self.length)
        x, z, _ = normal(self.batch, 3 * self.channels, self.length).to(self.dtype).split(self.channels, 1)
        states = self.groups * self.state
        B, C, _ = normal(self.batch, 2 * states + 3, self.length).to(self.dtype).split([states, states, 3], 1)
        B, C = (each.unflatten(1, (self.groups, self.state)) for each in (B, C))
        values: dict[str, Tensor | None] = {
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
}


@pytest.fixture(params=[False, True], ids=["whole", "chunks"])
def chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """With True, every interval between stored states is a chunk of its own, which only long sequences are cut into."""
    chosen = selective_scan_gpu.plan

    def shortest(x: Tensor, A: Tensor, B: Tensor) -> selective_scan_gpu.Plan:
        plan = chosen(x, A, B)
        return dataclasses.replace(plan, chunk=plan.interval)

    if request.param:
        monkeypatch.setattr(selective_scan_gpu, "plan", shortest)
    return bool(request.param)


def both_passes(case: Case) -> tuple[list[Tensor], list[Tensor]]:
    """y, the last state and every gradient: of the kernels, and of the definition in fp64."""
    inputs = case.inputs()
    y, last, checkpoints = selective_scan_gpu.forward(*inputs.values(), case.softplus)
    random = torch.Generator().manual_seed(1)
    dy = torch.randn(y.shape, generator=random).to(y.dtype)
    dlast = torch.randn(last.shape, generator=random)
    gradients = selective_scan_gpu.backward(dy, dlast, *inputs.values(), checkpoints, case.softplus)
    given = [gradient for gradient, each in zip(gradients, inputs.values()) if each is not None]
    assert all(not gradient.numel() for gradient, each in zip(gradients, inputs.values()) if each is None)

    wide = {name: None if each is None else each.double().requires_grad_() for name, each in inputs.items()}
    expected = sequential(*wide.values(), softplus=case.softplus)
    leaves = [each for each in wide.values() if each is not None]
    expected_gradients = torch.autograd.grad(expected, leaves, (dy.double(), dlast.double()))
    return [y, last, *given], [each.detach() for each in (*expected, *expected_gradients)]


def worst(computed: list[Tensor], expected: list[Tensor]) -> float:
    """The largest error, relative to the largest value of its tensor; infinite where something is not a number."""
    errors = [(a.double() - b).abs().max() / b.abs().max() for a, b in zip(computed, expected, strict=True)]
    return max(float(error.nan_to_num(torch.inf)) for error in errors)


@pytest.mark.usefixtures("mps", "chunks")
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_the_definition(name: str) -> None:
    case = CASES[name]
    assert worst(*both_passes(case)) < TOLERANCE[case.dtype]


@pytest.mark.usefixtures("mps")
def test_another_schedule_gives_the_same_bits() -> None:
    first, again = (both_passes(CASES["two groups"])[0] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again))


@pytest.fixture
def inexact(mps: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """exp, exp2, log and log2 are off by up to four units in the last place, as Metal's specification lets them be."""
    monkeypatch.setattr(torch.mps, "compile_shader", lambda text: torch_mps.compile_shader(text, ["-DULPS=4"]))
    metal._load.cache_clear()
    yield
    metal._load.cache_clear()


@pytest.mark.usefixtures("inexact")
@pytest.mark.parametrize("name", ["sixteen states, many channels", "three states, several tiles, ragged"])
def test_the_error_of_the_exponentials_does_not_grow(name: str) -> None:
    assert 0 < worst(*both_passes(CASES[name])) < TOLERANCE[torch.float32]
