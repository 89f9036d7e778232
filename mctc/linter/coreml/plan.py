"""What a Mac said of a model: where Core ML wants to run every operation, whoever wrote that down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from mctc.records import dataclass

OTHER = "other"
ASKED, NOTED = "MLComputePlan", "analytics.mil"
"""Who wrote it down: the exporter, which asks the first, or Core ML's compiler in the second."""


@dataclass(frozen=True)
class Measured:
    """One operation. type: without the opset in front. preferred, supported: ane, cpu, gpu or other; preferred is None
    where Core ML says nothing. cost: its part of the whole model's, from 0 to 1.

    What the compiler alone notes: backend, the one it chose by its own name; times, its estimates in microseconds by
    device, the better where a device has two backends; messages, why a backend does not take it, by backend.
    """

    outputs: tuple[str, ...]
    type: str
    preferred: str | None
    supported: frozenset[str]
    cost: float | None
    backend: str = ""
    times: Mapping[str, float] = field(default_factory=dict)
    messages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MeasuredPlan:
    """What a Mac said of a model. functions: the operations but constants, in order. source: who wrote it down.
    charges: microseconds that the compiler adds, for entering the engine ("launch") and for leaving it ("switch")."""

    path: str
    model: str
    chip: str
    system: str
    units: str
    functions: Mapping[str, tuple[Measured, ...]]
    source: str = ASKED
    charges: Mapping[str, float] = field(default_factory=dict)


def is_constant(type_: str) -> bool:
    """Whether an operation is a stored or compressed constant, which no device runs."""
    return type_ == "const" or type_.startswith("constexpr_")
