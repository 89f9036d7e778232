"""What a build can be told, apart from the spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from mctc.diagnostics.errors import MctcError

STATES = ("packed", "separate", "io")
LAYOUTS = ("single", "separate")
SCANS = ("unrolled", "prefix", "decay")


class BuildError(MctcError):
    """A build that can't be done as asked."""


@dataclass(frozen=True)
class BuildOptions:
    """How to build. Every field but `weights`, `force`, `allow_errors` and `verify_each`
    changes what is built.

    state: 'packed' (one state tensor a function), 'separate' or 'io' (states are inputs and outputs).
    device: a chip or family; None means the oldest one supported.
    layout: 'single' (one package of several functions) or 'separate'.
    scan: the form of selective scans; None lets cost decide.
    chunk: seconds (Fraction) or frames (int) of audio a call; None takes the spec's.
    without: names of passes to leave out.
    allow_errors: finish a build although `mctc lint` finds errors in it.
    """

    target: str = "ane"
    state: str = "packed"
    device: str | None = None
    layout: str = "single"
    scan: str | None = None
    chunk: Fraction | int | None = None
    seed: int = 0
    weights: Path | None = None
    without: tuple[str, ...] = ()
    defines: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None
    force: bool = False
    allow_errors: bool = False
    verify_each: bool = False

    def __post_init__(self) -> None:
        for name, allowed in (("state", STATES), ("layout", LAYOUTS), ("scan", (*SCANS, None))):
            if getattr(self, name) not in allowed:
                known = ", ".join(value for value in allowed if value)
                raise BuildError(f"{name} can't be {getattr(self, name)!r}", hint=f"it is one of {known}")

    def recorded(self) -> dict[str, Any]:
        """What the manifest says of the options: those that shape the result and aren't told elsewhere in it."""
        kept = ("state", "device", "layout", "scan", "without", "model")
        values = {key: value for key, value in asdict(self).items() if key in kept}
        return {**values, "without": list(self.without), "defines": dict(self.defines)}
