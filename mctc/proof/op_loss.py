"""What each op of an artifact loses in another arithmetic: both run the same calls, and every result is compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field

import numpy as np

from mctc.evaluate.coreml.declaration import REGISTRY
from mctc.ir.op import Array
from mctc.package.model import Operation, Reference
from mctc.records import dataclass

FRESH = 70.0
"""Decibels of a result that has been rounded to fp16 once, about: what an op can lose starts there."""
LOST = 6.0
"""Decibels that an op may lose before it is named: half of the signal's distance from its noise."""


@dataclass
class Power:
    """Sums of squares over all calls: of an op's result, and of how far it is off."""

    signal: float = 0.0
    noise: float = 0.0

    @property
    def decibels(self) -> float:
        if self.noise == 0:
            return float("inf")
        lost = self.signal == 0 or not np.isfinite(self.noise)
        return float("-inf") if lost else 10 * float(np.log10(self.signal / self.noise))


@dataclass(frozen=True)
class Loss:
    """An op whose result is further off than what it takes. before, after: decibels."""

    operation: Operation
    before: float
    after: float

    def __str__(self) -> str:
        return f"{self.operation.type} {self.operation.name}: {self.before:.1f} to {self.after:.1f} dB"


@dataclass
class Compared:
    """Two runs of a function, call by call: `exact` observes the one that is the measure, `other` the one after it.

    powers: by the name of the value.
    """

    powers: dict[str, Power] = field(default_factory=dict)
    operations: dict[int, Operation] = field(default_factory=dict)
    _held: dict[int, list[Array]] = field(default_factory=dict)

    def exact(self, operation: Operation, results: list[Array]) -> None:
        self._held[operation.index] = list(results)

    def other(self, operation: Operation, results: list[Array]) -> None:
        self.operations[operation.index] = operation
        for item, expected, found in zip(operation.outputs, self._held.pop(operation.index), results, strict=False):
            if np.asarray(expected).dtype.kind == "f":
                _add(self.powers.setdefault(item.name, Power()), np.asarray(expected), np.asarray(found))

    def losses(self) -> list[Loss]:
        """Ops in the order of the program that compute something, and lose more than LOST against the worst of their
        operands. (One that moves numbers may give the worse part of what it takes, or what an earlier call lost.)"""
        found = []
        for operation in self.operations.values():
            before = min([FRESH, *self._decibels(_taken(operation))])
            after = min(self._decibels(item.name for item in operation.outputs), default=before)
            declaration = REGISTRY.get(operation.type)
            if before - after > LOST and declaration is not None and not declaration.exact:
                found.append(Loss(operation, before, after))
        return found

    def _decibels(self, names: Iterable[str]) -> list[float]:
        return [self.powers[name].decibels for name in names if name in self.powers]


def _add(power: Power, expected: Array, found: Array) -> None:
    with np.errstate(all="ignore"):
        kept = np.isfinite(expected)
        wanted = expected[kept].astype(np.float64)
        power.signal += float(np.square(wanted).sum())
        power.noise += float(np.square(found[kept].astype(np.float64) - wanted).sum())


def _taken(operation: Operation) -> Iterable[str]:
    bindings = (binding for each in operation.inputs.values() for binding in each)
    return [binding.name for binding in bindings if isinstance(binding, Reference)]
