"""Runs the Triton kernels in Triton's own interpreter, on a CPU, and prints how far they are from fp64, as JSON.

Started with TRITON_INTERPRET=1: the kernels see it when they are imported.
"""

from __future__ import annotations

import dataclasses
import json
import sys

import torch
from torch import Tensor
from torch.nn import functional as F

from mctc.targets.torch.runtime import depthwise_op, ssd_gpu
from mctc.targets.torch.runtime.ssd_chunked import chunked
from tests.targets.torch.ssd_cases import Case, Given

TUNINGS = {
    "one kernel for all gradients": {"fused": True},
    "chunks of 32 frames": {"frames": 32},
    "nothing kept, a segment for each chunk": {"keep": False, "frames": 16, "fill": 64.0},
    "half a head a program": {"rows": 16},
}
CASES = {
    "decay of a head": Case(),
    "decay of a frame": Case(per_head=False),
    "no skip, no first state": Case(options=()),
    "odd sizes": Case(batch=1, heads=3, width=5, groups=1, states=7, length=37),
}


def ssd(case: Case, tuning: dict[str, object]) -> dict[str, float]:
    """The largest relative error of each result and gradient, in the 2-norm."""
    ssd_gpu.TUNING = dataclasses.replace(ssd_gpu.Tuning(), **tuning)  # type: ignore[arg-type]
    given, (dy, dlast) = case.inputs(torch.float32), case.upstream(torch.float32)
    y, last, stored = ssd_gpu.forward(*given, case.groups, True)
    found = [y, last, *ssd_gpu.backward(dy, dlast, *given, stored, case.groups)]
    return _errors(found, expected(case.inputs(torch.float64), case))


def expected(given: Given, case: Case) -> list[Tensor | None]:
    """By the products of torch, in fp64: the results, and the gradients of what is given."""
    leaves = [None if each is None else each.requires_grad_() for each in given]
    results = chunked(*leaves, case.groups)  # type: ignore[arg-type]
    gradients = iter(
        torch.autograd.grad(results, [each for each in leaves if each is not None], case.upstream(torch.float64))
    )
    return [*results, *(None if each is None else next(gradients) for each in leaves)]


def depthwise(length: int, taps: int, has_bias: bool) -> dict[str, float]:
    generator = torch.Generator().manual_seed(0)
    x, dy = (torch.randn(2, 9, 1, length, generator=generator) for _ in range(2))
    weight, bias = torch.randn(9, 1, 1, taps, generator=generator), torch.randn(9, generator=generator)
    leaves = [each.double().requires_grad_() for each in (x, weight, *([bias] if has_bias else []))]
    y = F.conv2d(F.pad(leaves[0], (taps - 1, 0)), *leaves[1:], groups=9)
    wanted = [y, *torch.autograd.grad(y, leaves, dy.double())]
    made = depthwise_op.forward(x, weight, bias if has_bias else None)
    found = [made, *depthwise_op.backward(dy, x, weight)]
    return _errors(found[: len(wanted)], wanted)


def _errors(found: list[Tensor], wanted: list[Tensor | None]) -> dict[str, float]:
    pairs = [(a.double(), b.detach()) for a, b in zip(found, wanted) if b is not None]
    return {str(i): float((a - b).norm() / b.norm()) for i, (a, b) in enumerate(pairs)}


def main() -> None:
    found = {f"ssd, {case}": ssd(CASES[case], {}) for case in CASES}
    found |= {f"ssd, {tuning}": ssd(Case(), TUNINGS[tuning]) for tuning in TUNINGS}
    found |= {f"depthwise, {given}": depthwise(*given) for given in ((300, 4, True), (5, 3, False), (2, 4, True))}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
