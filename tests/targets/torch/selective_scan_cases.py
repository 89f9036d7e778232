"""Arguments of a selective scan, and its values and gradients by the definition in fp64 and by what is tested."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mctc.targets.torch.runtime.selective_scan_reference import sequential

OPTIONAL = ("D", "z", "delta_bias", "h")
OVER_TIME = ("x", "delta", "B", "C", "z")
ROUNDING = {torch.float32: 0.0, torch.float16: 2**-11, torch.bfloat16: 2**-8}

Arguments = dict[str, Tensor]
Results = dict[str, Tensor]  # y, h_last, and by the argument's name its gradient


@dataclass(frozen=True)
class Case:
    """rate: what delta is about, or None for a few orders of magnitude around one."""

    batch: int = 2
    channels: int = 6
    length: int = 33
    state: int = 3
    groups: int = 1
    dtype: torch.dtype = torch.float32
    options: tuple[str, ...] = OPTIONAL
    softplus: bool = True
    rate: float | None = None
    seed: int = 0

    def arguments(self) -> Arguments:
        """In fp64, but with values that the case's own type can hold."""
        generator = torch.Generator().manual_seed(self.seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, dtype=torch.float64)

        rows = (self.batch, self.channels, self.length)
        per_step = (self.batch, self.groups, self.state, self.length)
        delta = normal(*rows) if self.rate is None else self.rate * (1 + 0.1 * normal(*rows))
        found = {
            "x": normal(*rows),
            "delta": delta,
            "A": -0.1 - 4 * torch.rand(self.channels, self.state, generator=generator, dtype=torch.float64),
            "B": normal(*per_step),
            "C": normal(*per_step),
            "D": normal(self.channels),
            "z": normal(*rows),
            "delta_bias": normal(self.channels) if self.softplus else normal(self.channels).abs(),  # no negative rate
            "h": normal(self.batch, self.channels, self.state),
        }
        kept = {name: each for name, each in found.items() if name not in OPTIONAL or name in self.options}
        return {name: each.to(self.type_of(name)).double() for name, each in kept.items()}

    def type_of(self, name: str) -> torch.dtype:
        return self.dtype if name in OVER_TIME else torch.promote_types(self.dtype, torch.float32)

    def weights(self) -> tuple[Tensor, Tensor]:
        """The gradients of y and h_last."""
        generator = torch.Generator().manual_seed(self.seed + 1)
        dy = torch.randn(self.batch, self.channels, self.length, generator=generator).to(self.dtype).double()
        return dy, torch.randn(self.batch, self.channels, self.state, generator=generator).double()


def expected(case: Case) -> Results:
    return results(lambda given: sequential(**given, softplus=case.softplus), case.arguments(), case.weights())


def computed(case: Case, laid_out: Callable[[str, Tensor], Tensor] = lambda name, each: each) -> Results:
    """By the operation, on arguments of the case's type as `laid_out` lays them into memory."""
    given = {name: laid_out(name, each.to(case.type_of(name))) for name, each in case.arguments().items()}
    return results(lambda leaves: operation(leaves, case.softplus), given, case.weights())


def operation(given: Arguments, softplus: bool) -> tuple[Tensor, Tensor]:
    y, h_last, _ = torch.ops.mctc.selective_scan(
        *(given[name] for name in ("x", "delta", "A", "B", "C")), *(given.get(name) for name in OPTIONAL), softplus
    )
    return y, h_last


def results(
    scan: Callable[[Arguments], tuple[Tensor, Tensor]], given: Arguments, weights: tuple[Tensor, Tensor]
) -> Results:
    leaves = {name: each.detach().requires_grad_() for name, each in given.items()}
    y, h_last = scan(leaves)
    (y.double() * weights[0]).sum().add((h_last.double() * weights[1]).sum()).backward()
    gradients = {name: each.grad for name, each in leaves.items()}
    missing = [name for name, each in gradients.items() if each is None]
    assert not missing, f"no gradient of {missing}"
    return {
        "y": y.detach(),
        "h_last": h_last.detach(),
        **{name: each for name, each in gradients.items() if each is not None},
    }


def assert_close(case: Case, found: Results, wanted: Results, tolerance: float = 2e-6) -> None:
    """Relative to the largest number of each tensor; what is stored in half precision may be off by a rounding more."""
    assert found.keys() == wanted.keys()
    for name, each in found.items():
        kind = case.type_of("x" if name == "y" else name)
        assert each.dtype == kind, name
        assert each.shape == wanted[name].shape, name
        if each.numel():
            allowed = (tolerance + ROUNDING.get(kind, 0.0)) * wanted[name].abs().max()
            error = (each.double() - wanted[name].double()).abs().max()
            assert error <= allowed, f"{name}: off by {error:.2e}, of which {allowed:.2e} is allowed"
