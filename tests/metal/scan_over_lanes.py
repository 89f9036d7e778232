"""The forward pass with time across lanes: mappings and inputs that reach each of its branches, and its check."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from mctc.targets.torch.runtime import selective_scan_gpu
from mctc.targets.torch.runtime.selective_scan_plan import OverLanes, Plan

from .errors import Check, worst
from .scan import Case

FP16, BF16 = torch.float16, torch.bfloat16
RAGGED = "ragged tiles, bf16"
CASES = {
    RAGGED: (OverLanes(16, 2, 2, 256), Case(1040, 16, batch=1, channels=3, dtype=BF16)),
    "one state at a time, nothing optional": (
        OverLanes(8, 1, 2, 256),
        Case(264, 16, batch=1, channels=3, dtype=BF16, given=(), softplus=False),
    ),
    "two groups, fp16": (OverLanes(16, 2, 1, 256), Case(528, 4, batch=2, channels=4, groups=2, dtype=FP16)),
    "four states at a time": (OverLanes(16, 4, 4, 256), Case(528, 8, batch=1, channels=5, dtype=BF16)),
    "more states than lanes": (OverLanes(8, 4, 1, 256), Case(64, 40, batch=1, channels=1, dtype=BF16)),
    "fewer steps than a tile": (OverLanes(16, 2, 1, 256), Case(64, 2, channels=2, dtype=BF16, given=("D",))),
}


@contextmanager
def over_lanes(mapping: OverLanes | None) -> Iterator[None]:
    """From here on, launches are spread so."""
    chosen = selective_scan_gpu.plan

    def changed(x: Tensor, A: Tensor, B: Tensor) -> Plan:
        return replace(chosen(x, A, B), over_lanes=mapping)

    selective_scan_gpu.plan = changed
    try:
        yield
    finally:
        selective_scan_gpu.plan = chosen


def forward_check(name: str) -> Check:
    """y and the last state against the definition, stored states against those of the other kernel."""
    mapping, case = CASES[name]
    with over_lanes(None):
        stored = case.forward()[2].double()

    def check() -> float:
        with over_lanes(mapping):
            *results, found = case.forward()
        return worst([*results, found], [*case.expected[0], stored]) / case.tolerance

    return check
