"""The segmenter: a shortest path over backends through the ops in their order.

751K's rule, which reproduced 440 of 482 placements on an M4 exactly (41 more were ties): entering the Neural Engine
costs 0.125 ms, changing the backend 0.125 ms, ending on the Neural Engine 0.125 ms (the output is copied); inputs are
free; the least sum wins. So a whole graph must save 0.25 ms there, an island between CPU ops 0.375 ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from mctc.records import dataclass


class Backend(str, Enum):
    ANE = "ane"
    CPU = "cpu"


@dataclass(frozen=True)
class Charges:
    """Microseconds: entering the Neural Engine, changing the backend, and copying outputs from the Neural Engine."""

    launch: float = 125.0
    switch: float = 125.0
    output: float = 125.0

    def times(self, factor: float) -> Charges:
        return Charges(self.launch * factor, self.switch * factor, self.output * factor)


CHARGES = Charges()
TIE = 1e-6
"""Microseconds that rounding may put between two paths of the same cost."""


def shortest_path(
    costs: Sequence[tuple[float | None, float]], charges: Charges = CHARGES, ties: Backend = Backend.ANE
) -> list[Backend]:
    """The backend of every op. costs: microseconds on the Neural Engine (None: not there) and on the CPU.

    ties: where an op goes that may as well be on either. Time and memory are linear in the ops.
    """
    far = float("inf")
    slack = TIE if ties is Backend.ANE else -TIE
    ane, cpu = far, 0.0
    came: list[tuple[bool, bool]] = []  # whether the best way to (ane, cpu) comes from the Neural Engine
    for place, (on_ane, on_cpu) in enumerate(costs):
        enter = cpu + charges.launch + (charges.switch if place else 0.0)
        leave = ane + charges.switch
        came.append((ane <= enter + slack, leave <= cpu + slack))
        best_ane = far if on_ane is None else min(ane, enter) + on_ane
        ane, cpu = best_ane, min(cpu, leave) + on_cpu
    on_engine = bool(costs) and ane + charges.output <= cpu + slack
    path: list[Backend] = []
    for from_ane in reversed(came):
        path.append(Backend.ANE if on_engine else Backend.CPU)
        on_engine = from_ane[0] if on_engine else from_ane[1]
    return path[::-1]


def total(costs: Sequence[tuple[float | None, float]], path: Sequence[Backend], charges: Charges = CHARGES) -> float:
    """Microseconds of a path, charges included."""
    spent, before = 0.0, None
    for (on_ane, on_cpu), backend in zip(costs, path, strict=True):
        if backend is Backend.ANE:
            spent += (on_ane or 0.0) + (charges.launch if before is not Backend.ANE else 0.0)
        else:
            spent += on_cpu
        if before is not None and backend is not before:
            spent += charges.switch
        before = backend
    return spent + (charges.output if before is Backend.ANE else 0.0)
