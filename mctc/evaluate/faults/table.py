"""All fault models by name, and what of them is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mctc.diagnostics.errors import UsageError
from mctc.diagnostics.near import did_you_mean, listing
from mctc.evaluate.faults.fault import Fault, Sites, View, Wrong
from mctc.evaluate.faults.movement import MOVEMENT
from mctc.evaluate.faults.numbers import NUMBERS
from mctc.package.model import Function, Operation
from mctc.records import dataclass

FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in (*MOVEMENT, *NUMBERS)}
ALL = "all"


def faults_of(text: str) -> tuple[Fault, ...]:
    """'softplus-cliff,mod-sign', or 'all'. Raises UsageError for an unknown name."""
    names = [each.strip() for each in text.split(",") if each.strip()]
    if not names:
        raise UsageError("no fault is named", hint=f"{ALL}, or some of {listing(FAULTS)}")
    chosen = list(FAULTS) if ALL in names else names
    for name in chosen:
        if name not in FAULTS:
            hint = did_you_mean(name, FAULTS) or "docs/faults.md lists them; `all` takes them all"
            raise UsageError(f"there is no fault `{name}`", hint=hint)
    return tuple(FAULTS[name] for name in dict.fromkeys(chosen))


@dataclass(frozen=True)
class Injected:
    """Faults as an evaluator takes them: what they change in each function."""

    faults: Sequence[Fault]

    def __bool__(self) -> bool:
        return bool(self.faults)

    def sites(self, function: Function) -> Sites:
        """Of all faults together; where two change one operation, the later one does."""
        wrong: dict[int, Wrong] = {}
        lost: set[int] = set()
        view = View(function)
        for fault in self.faults:
            found = fault.sites(view)
            wrong.update(found.wrong)
            lost |= found.lost
        return Sites(wrong, frozenset(lost))


def wrapped(wrong: Wrong, call: Callable[..., Any], constants: Mapping[str, Any]) -> Callable[..., Any]:
    """An op's function that gives what the fault gives. call: the right one, given the constant operands already."""

    def faulty(**variable: Any) -> Any:
        return wrong(lambda: call(**variable), {**constants, **variable})

    return faulty


def touches(fault: Fault, function: Function) -> list[Operation]:
    """The operations of a function that a fault acts on."""
    sites = fault.sites(View(function))
    return [operation for operation in function.walk() if operation.index in sites.wrong.keys() | sites.lost]
