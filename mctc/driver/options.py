"""What a build can be told, apart from the spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mctc.diagnostics.errors import ExitCode, MctcError
from mctc.records import dataclass

if TYPE_CHECKING:
    from mctc.driver.budget import Budget

STATES = ("packed", "separate", "io")
LAYOUTS = ("single", "separate")
PRECISIONS = ("fp16", "fp32")
LAYERS = "layers"  # what a split into one part for each round of a repeat is called
SCAN_PASS, SCAN_OPTION = "lower-selective-scan", "form"  # what `--scan` stands for


class BuildError(MctcError):
    """A build that can't be done as asked."""


class OptionError(BuildError):
    """An option that names nothing, or asks a target for what it hasn't: the command line is at fault."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True)
class BuildOptions:
    """How to build. Every field but `weights`, `tokens`, `force`, `allow_errors`, `budgets` and
    `verify_each` changes what is built.

    state: 'packed' (one state tensor a function), 'separate' or 'io' (states are inputs and outputs).
    device: a chip or family; None means the oldest one supported.
    layout: 'single' (one package of several functions) or 'separate'.
    precision: 'fp16' or 'fp32', what the artifacts compute in.
    For these three, None means what the target takes first (`resolved`).
    chunk: seconds (Fraction) or frames (int) of audio a call; None takes the spec's.
    tokens: a file, or folder, of the model's tokens, in place of those that the spec names.
    without: names of passes to leave out.
    passes: options of passes, by pass and option (`mctc passes NAME`); they win over the spec's.
    allow_errors: finish a build although `mctc lint` finds errors in it.
    packaged: names of targets that package the build for apps besides.
    budgets: what the build may cost on its device; one that is predicted to cost more fails.
    split: into how many packages the costliest function is cut, or 'layers'.
    """

    target: str = "ane"
    state: str | None = None
    device: str | None = None
    layout: str | None = None
    precision: str | None = None
    chunk: Fraction | int | None = None
    seed: int = 0
    weights: Path | None = None
    tokens: Path | None = None
    without: tuple[str, ...] = ()
    passes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    defines: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None
    force: bool = False
    allow_errors: bool = False
    verify_each: bool = False
    packaged: tuple[str, ...] = ()
    budgets: tuple[Budget, ...] = ()
    split: str | None = None

    def __post_init__(self) -> None:
        if self.split is not None and self.split != LAYERS and not (self.split.isdigit() and int(self.split) > 1):
            raise OptionError(f"split can't be {self.split!r}", hint=f"it is a number from 2 on, or {LAYERS}")
        if self.split is not None and self.state == "io":
            raise OptionError("split parts keep their states, which --state io passes", hint="leave one of both out")
        allowed = {"state": STATES, "layout": LAYOUTS, "precision": PRECISIONS}
        for name, known in allowed.items():
            value = getattr(self, name)
            if value is not None and value not in known:
                raise OptionError(f"{name} can't be {value!r}", hint=f"it is one of {', '.join(known)}")

    def resolved(self, forms: Mapping[str, tuple[str, ...]]) -> BuildOptions:
        """The options for a target that can be asked for these forms; what was left open is the first of them.

        forms: values by field ('state', 'layout', 'precision'). Raises BuildError for one that the target has not.
        """
        for name, known in forms.items():
            value = getattr(self, name)
            if value is not None and value not in known:
                offered = f"there is only {known[0]}" if len(known) == 1 else f"there are {', '.join(known)}"
                raise OptionError(f"target {self.target} has no {name} {value!r}", hint=offered)
        left_open: dict[str, Any] = {name: known[0] for name, known in forms.items() if getattr(self, name) is None}
        return replace(self, **left_open)

    def recorded(self) -> dict[str, Any]:
        """What the manifest says of the options: those that shape the result and aren't told elsewhere in it."""
        kept = (
            "state",
            "device",
            "layout",
            "precision",
            "passes",
            "without",
            "model",
            *(["split"] if self.split else []),
        )
        values = {key: value for key, value in asdict(self).items() if key in kept}
        return {**values, "without": list(self.without), "defines": dict(self.defines)}

    @classmethod
    def of_record(cls, recorded: Mapping[str, Any], **more: Any) -> BuildOptions:
        """The options that `recorded` gave, or an mctc before passes had options; `more` are other fields."""
        told = {key: value for key, value in recorded.items() if key != "scan"}
        if recorded.get("scan") is not None:
            told["passes"] = {SCAN_PASS: {SCAN_OPTION: recorded["scan"]}}
        return cls(**{**told, "without": tuple(recorded.get("without", ()))}, **more)
