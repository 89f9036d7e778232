"""The form of a rule: what it finds, how far to trust it, what it means for placement, and where that is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import field
from enum import Enum
from inspect import cleandoc
from typing import TYPE_CHECKING, Any

from mctc.linter.coreml.graph import FunctionGraph, Op, PackageGraph
from mctc.linter.coreml.target import Scope, Target
from mctc.records import dataclass

if TYPE_CHECKING:
    from mctc.linter.coreml.network.graph import NetworkGraph, Node
    from mctc.linter.coreml.placement import Placement


class Severity(str, Enum):
    """How bad a finding is, the worst first."""

    ERROR = "error"
    """Will not run on the Neural Engine of the stated target."""
    WARNING = "warning"
    """Likely off it, or contested."""
    PERFORMANCE = "performance"
    """Stays on it, but slow."""
    NUMERICS = "numerics"
    """Stays on it, with risky or silently wrong numbers."""
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)


class Effect(Enum):
    """What a finding means for the op that it names (for the whole function, where it names none)."""

    OFF = "off"
    """Not eligible for the Neural Engine."""
    DOUBT = "doubt"
    """Eligibility is contested, or depends on what a file can't tell."""
    STAYS = "stays"
    """No effect on where it runs."""


EVIDENCE = {
    "A": "Apple: documentation, source comments, staff in a tracker",
    "B": "measured through Core ML, chip and system stated",
    "C": "measured on a path to the engine that skips Core ML",
    "D": "read out of Apple's binaries",
    "E": "one user's report",
    "F": "folklore, or from the days of neural-network models",
    "M": "mctc's own: follows from the form of the package",
}
OF_FORM = (
    "ANE-DT-001", "ANE-DT-002", "ANE-DT-003", "ANE-DT-004", "ANE-SH-00", "ANE-LY", "ANE-CV", "ANE-MM", "ANE-QT",
    "ANE-PL",
)  # fmt: skip
"""Rules about an op's form: what one covers that says that no form of the op runs there."""
CONFIDENCE = {"H": "high", "M": "medium", "L": "low"}


@dataclass(frozen=True)
class Hit:
    """What a rule over a function or a package finds: a message, and the op it is about. also: other ops that it is
    about as much, in the same function."""

    message: str
    op: Op | None = None
    function: str | None = None
    also: tuple[Op, ...] = ()


@dataclass(frozen=True)
class Sides:
    """Both sides of a contested rule, each with its sources."""

    stays: str
    leaves: str


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule. `code` stays for ever.

    code: such as ANE-CV-001; the letters after ANE tell the subject.
    name: two to four words with hyphens. summary: what it finds, one line. why: number, chip and system. fix: the way
        out. source: who says so. evidence: letters of EVIDENCE. confidence: a key of CONFIDENCE.
    sides: both sides where sources disagree. Such a rule says no more than a warning and puts no op off the engine.
    scope: the families and platforms that it speaks of.
    covers: beginnings of codes. Of an op that this rule speaks of, those rules would name the same cause, or speak of
        what no longer matters, so what they say is left out.
    declared: whether it looks at shapes as the package declares them, at whatever size that is judged.
    fires, silent: programs in the notation of mctc.linter.coreml.notation (for rules about neural networks, networks in
        that of mctc.linter.coreml.network.notation); the first has the finding, the second not.
    """

    code: str
    name: str
    summary: str
    severity: Severity
    why: str
    fix: str
    source: str
    evidence: str
    confidence: str
    fires: str
    silent: str
    effect: Effect = Effect.STAYS
    sides: Sides | None = None
    scope: Scope = field(default_factory=Scope)
    covers: tuple[str, ...] = ()
    declared: bool = False

    def __post_init__(self) -> None:
        if unknown := set(self.evidence) - set(EVIDENCE):
            raise ValueError(f"{self.code}: evidence {', '.join(sorted(unknown))} is none of {', '.join(EVIDENCE)}")
        if self.confidence not in CONFIDENCE:
            raise ValueError(f"{self.code}: confidence {self.confidence!r} is none of {', '.join(CONFIDENCE)}")
        if self.sides is not None and (self.severity is Severity.ERROR or self.effect is Effect.OFF):
            raise ValueError(
                f"{self.code}: a contested rule says no more than a warning and puts nothing off the engine"
            )

    @property
    def contested(self) -> bool:
        return self.sides is not None


class _Block:
    """A text that a rule states in lines as far in as its source: without what stands before all of them, taken off
    by its first reader. Few rules find anything, and a lint needs all of them."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __set__(self, rule: Rule, text: str) -> None:
        vars(rule)[self.name] = text

    def __get__(self, rule: Rule | None, owner: type[Rule]) -> Any:
        if rule is None:
            raise AttributeError(self.name)  # as of any field without a default
        cleaned, key = vars(rule), f"_{self.name}"
        if key not in cleaned:
            cleaned[key] = cleandoc(cleaned[self.name])
        return cleaned[key]


for _name in ("fires", "silent", "why", "fix"):
    setattr(Rule, _name, _Block(_name))


@dataclass(frozen=True, kw_only=True)
class OpRule(Rule):
    """Looks at single ops of the types `ops` (of all types where it is empty); returns the message of a finding."""

    ops: tuple[str, ...] = ()
    find: Callable[[Op, Target], str | None]


@dataclass(frozen=True, kw_only=True)
class FunctionRule(Rule):
    """Looks at a function as a whole, before placement."""

    find: Callable[[FunctionGraph, Target], Iterable[Hit]]


@dataclass(frozen=True, kw_only=True)
class PackageRule(Rule):
    """Looks at the package as a whole: sizes, descriptions, versions."""

    find: Callable[[PackageGraph, Target], Iterable[Hit]]


@dataclass(frozen=True, kw_only=True)
class MisfitRule(Rule):
    """Looks at a function at a size at which its ops don't fit together; no other rule is asked about that size."""

    find: Callable[[FunctionGraph, Target], Iterable[Hit]]


@dataclass(frozen=True, kw_only=True)
class PlacementRule(Rule):
    """Looks at the predicted placement of a function; has no effect on it."""

    find: Callable[[Placement, Target], Iterable[Hit]]


@dataclass(frozen=True, kw_only=True)
class LayerRule(Rule):
    """Looks at single layers of a neural network, of the types `layers`; returns the message of a finding."""

    layers: tuple[str, ...]
    find: Callable[[Node, NetworkGraph, Target], str | None]


@dataclass(frozen=True, kw_only=True)
class NetworkRule(Rule):
    """Looks at a neural network as a whole; returns messages."""

    find: Callable[[NetworkGraph, Target], Iterable[str]]


@dataclass(frozen=True)
class RuleFamily:
    """Rules of one subject: what a line of `BUILT_IN`, an entry point of `mctc.rules` or a plugin file brings.

    name: as it is listed there. title: a heading of the catalogue. rules: their codes must not be taken.
    not_decidable: codes of known rows that no file can decide, with the reason (they are listed in the catalogue).
    """

    name: str
    title: str
    rules: tuple[Rule, ...]
    not_decidable: tuple[tuple[str, str], ...] = ()


def listed(values: Iterable[Any], limit: int = 4) -> str:
    """'a, b, c and 3 more'."""
    items = [str(value) for value in values]
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more
