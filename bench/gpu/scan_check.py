"""Checks selective_scan.metal on a GPU: values and gradients against fp64, and that they repeat bit for bit.

    python -m bench.gpu.scan_check [--quick]

Prints the worst relative error (of the norm) of each group of cases and exits with 1 where one is too large. --quick
runs few and small cases, for compute-sanitizer.
"""

# ruff: noqa: N806 - the names of the paper

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from bench.gpu.training_runtime import RUNTIME, import_from

gpu: Any = import_from(RUNTIME, "runtime", "selective_scan_gpu")
reference: Any = import_from(RUNTIME, "runtime", "selective_scan_reference")
NAMES = ("x", "delta", "A", "B", "C", "D", "z", "delta_bias", "h")
# Of the norm: rounding of the inputs is not counted, rounding of the results is half a unit in the last place.
TOLERANCES = {torch.float32: 1e-5, torch.float16: 1e-3, torch.bfloat16: 6e-3}


@dataclass(frozen=True)
class Case:
    length: int
    state: int = 16
    groups: int = 1
    dtype: torch.dtype = torch.float32
    flags: tuple[bool, ...] = (True, True, True, True, True)
    """D, z, delta_bias, h, softplus."""
    delta: float = 1.0
    """How large delta is."""
    views: bool = False
    """x and z, and B and C, are halves of one tensor."""
    batch: int = 2
    channels: int = 72
    chunk: int | None = None
    """Steps of a chunk of time, where it is not the plan's."""


def cases(quick: bool) -> Iterator[tuple[str, Case]]:
    if quick:
        for state, dtype in ((16, torch.float32), (17, torch.bfloat16), (256, torch.float16)):
            yield "quick", Case(37, state, 2, dtype, channels=8)
        yield "quick", Case(70, chunk=64, channels=8)
        return
    for length, state in itertools.product((1, 3, 31, 33, 257), (1, 3, 16, 17, 64, 256)):
        yield "lengths and states", Case(length, state)
    for flags in itertools.product((False, True), repeat=5):
        yield "flags", Case(33, flags=flags)
    for dtype, state, groups in itertools.product(TOLERANCES, (3, 16, 64), (1, 2)):
        yield f"{dtype}".removeprefix("torch."), Case(65, state, groups, dtype, views=True)
    for delta, softplus in itertools.product((1e-6, 1e-3, 20.0, 100.0), (False, True)):
        flags = (True, True, softplus, True, softplus)  # without softplus delta is taken positive and without a bias
        yield "huge and tiny delta", Case(65, flags=flags, delta=delta)
    for chunk, dtype in itertools.product((128, 256), TOLERANCES):
        yield "chunks", Case(600, 16, 2, dtype, chunk=chunk)
    for dtype, state, groups in itertools.product(TOLERANCES, (2, 16), (1, 2)):
        yield "time across lanes", Case(1040, state, groups, dtype, channels=38, views=True)
    yield "long", Case(4096, channels=40)
    yield "long", Case(4096, channels=40, chunk=512)


def inputs(case: Case, seed: int) -> list[Tensor | None]:
    generator = torch.Generator("cuda").manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, device="cuda", generator=generator)

    over_time = (case.batch, 2 * case.channels, case.length)
    x, z = normal(*over_time).to(case.dtype).chunk(2, 1)
    by_group = (case.batch, 2 * case.groups, case.state, case.length)
    B, C = normal(*by_group).to(case.dtype).chunk(2, 1)
    if not case.views:
        x, z, B, C = (each.contiguous() for each in (x, z, B, C))
    has_D, has_z, has_bias, has_h, softplus = case.flags
    delta = normal(case.batch, case.channels, case.length) * case.delta
    delta = (delta if softplus else delta.abs()).to(case.dtype)
    A = -torch.rand(case.channels, case.state, device="cuda", generator=generator) * 4 - 0.1
    return [
        x,
        delta,
        A,
        B,
        C,
        normal(case.channels) if has_D else None,
        z if has_z else None,
        normal(case.channels).abs() if has_bias else None,
        normal(case.batch, case.channels, case.state) if has_h else None,
    ]


def ours(given: list[Tensor | None], dy: Tensor, dh: Tensor, softplus: bool) -> dict[str, Tensor]:
    y, last, checkpoints = gpu.forward(*given, softplus)
    gradients = gpu.backward(dy, dh, *given, checkpoints, softplus)
    names = [f"d{name}" for name, each in zip(NAMES, given) if each is not None]
    return {"y": y, "last": last} | dict(zip(names, (each for each in gradients if each.numel())))


def expected(given: list[Tensor | None], dy: Tensor, dh: Tensor, softplus: bool) -> dict[str, Tensor]:
    wide = [None if each is None else each.double().requires_grad_() for each in given]
    y, last = reference.sequential(*wide, softplus=softplus)
    leaves = [each for each in wide if each is not None]
    gradients = torch.autograd.grad([y, last], leaves, [dy.double(), dh.double()])
    names = [f"d{name}" for name, each in zip(NAMES, given) if each is not None]
    return {"y": y, "last": last} | dict(zip(names, gradients))


def planned(case: Case, plan: Callable[..., object]) -> Callable[..., object]:
    """The plan with the case's chunk, which has to be a multiple of the interval."""

    def changed(*arguments: object) -> object:
        chosen = plan(*arguments)
        chunks = {"forward_chunk": case.chunk, "backward_chunk": case.chunk}
        return replace(chosen, over_lanes=None, **chunks) if case.chunk else chosen  # type: ignore[type-var]

    return changed


def main() -> int:
    plan, worst, failures = gpu.plan, dict[str, tuple[float, str]](), 0
    for seed, (group, case) in enumerate(cases("--quick" in sys.argv)):
        gpu.plan = planned(case, plan)
        given = inputs(case, seed)
        generator = torch.Generator("cuda").manual_seed(1000 + seed)
        dy = torch.randn(given[0].shape, device="cuda", generator=generator).to(case.dtype)  # type: ignore[union-attr]
        dh = torch.randn(case.batch, case.channels, case.state, device="cuda", generator=generator)
        first = ours(given, dy, dh, case.flags[4])
        wanted = expected(given, dy, dh, case.flags[4])
        again = ours(given, dy, dh, case.flags[4])
        for name, each in wanted.items():
            error = ((first[name].double() - each).norm() / each.norm().clamp_min(1e-30)).item()
            if not error <= TOLERANCES[case.dtype] or not torch.equal(first[name], again[name]):
                failures += 1
                print(f"FAILED {name}: {error:.1e}, repeats {torch.equal(first[name], again[name])}: {case}")
            if not error <= worst.get(group, (0.0, ""))[0]:
                worst[group] = (error, name)
    for group, (error, name) in worst.items():
        print(f"{group:24} {error:.1e} ({name})")
    print("failed" if failures else "all agree and repeat", f"({failures} results)" if failures else "")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
