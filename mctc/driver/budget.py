"""What a build may cost on the device it is for: `--budget compile=10s`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mctc.driver.options import BuildError, OptionError
from mctc.records import dataclass

TIMES = {"ms": 1e-3, "s": 1.0, "min": 60.0}
SIZES = {"kB": 1e3, "MB": 1e6, "GB": 1e9}
QUANTITIES: dict[str, tuple[str, Mapping[str, float]]] = {
    "compile": ("the first load", TIMES),
    "disk": ("the disk that the first load takes", SIZES),
    "memory": ("the memory that the first load takes", SIZES),
    "first-call": ("the first call after idleness", TIMES),
    "call": ("a call", TIMES),
}
"""What can be budgeted: in words, and the units it is told in, each in seconds or bytes."""

_TEXT = re.compile(r"([a-z-]+)=(\d+(?:\.\d+)?)\s*([a-zA-Z]+)", re.ASCII)
WAY_OUT = "a smaller model, another --device, or a larger budget (docs/compile-cost.md)"
EXAMPLES = "such as compile=10s, disk=2GB, memory=1GB, first-call=300ms or call=5ms"


@dataclass(frozen=True)
class Budget:
    """A quantity (a key of QUANTITIES) and its limit in seconds or bytes, as the user wrote it in `text`."""

    quantity: str
    limit: float
    text: str


@dataclass(frozen=True)
class Predicted:
    """What a quantity is predicted to be, in seconds or bytes, and what makes most of it. value: None where what is
    asked for will not happen at all, for the reason in `most`."""

    value: float | None
    most: str


def parse_budget(text: str) -> Budget:
    """'compile=10s'. Raises OptionError."""
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        raise OptionError(f"{text!r} is no budget", hint=EXAMPLES)
    quantity, number, unit = match.groups()
    if quantity not in QUANTITIES:
        raise OptionError(f"nothing called {quantity!r} can be budgeted", hint=f"known are {', '.join(QUANTITIES)}")
    units = QUANTITIES[quantity][1]
    if unit not in units:
        raise OptionError(f"{text!r}: {quantity} has no unit {unit!r}", hint=f"its units are {', '.join(units)}")
    return Budget(quantity, float(number) * units[unit], f"{number} {unit}")


def hold(budgets: Sequence[Budget], predicted: Mapping[str, Predicted], device: str) -> None:
    """Raises BuildError for the first budget that the prediction is over. predicted: by quantity."""
    for budget in budgets:
        found = predicted[budget.quantity]
        words, units = QUANTITIES[budget.quantity]
        if found.value is None:
            told = f"{words} fails, so no budget holds:"
        elif found.value > budget.limit:
            told = f"{words} is predicted to take {_written(found.value, units)}, more than {budget.text}:"
        else:
            continue
        raise BuildError(f"{told}\n  on {device}; {found.most}", hint=WAY_OUT)


def _written(value: float, units: Mapping[str, float]) -> str:
    """In the largest unit that it has one of."""
    unit, size = max((each for each in units.items() if each[1] <= value), key=lambda each: each[1], default=("", 0.0))
    unit, size = (unit, size) if unit else min(units.items(), key=lambda each: each[1])
    return f"{value / size:.3g} {unit}"
