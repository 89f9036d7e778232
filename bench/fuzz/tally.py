"""What many programs add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.fuzz.findings import Outcome, without_folder


@dataclass(frozen=True)
class Failure:
    """A finding with a spec that shows it. `streams`: whether it is known to stream. `shrunk`: whether the spec is the
    smallest that was found, and so takes the place of the first."""

    stage: str
    what: str
    text: str
    options: str
    streams: bool | None = None
    shrunk: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """What tells one bug from another: where it showed, and the start of the message without its numbers."""
        return self.stage, "".join(c for c in without_folder(self.what) if not c.isdigit())[:60]


@dataclass
class Tally:
    """Counts. covered: by kind (op, role, time, stored, components), programs that hold each name.

    ran, worst: programs and the largest relative error by runtime. refused: by (stage, reason). faults: broken specs
    by what is wrong with them. again: times that a known failure came up once more. Picklable: workers send it.
    """

    programs: int = 0
    broken: int = 0
    damaged: int = 0
    covered: dict[str, Counter[str]] = field(default_factory=dict)
    ran: Counter[str] = field(default_factory=Counter)
    worst: dict[str, float] = field(default_factory=dict)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    again: int = 0

    def add(self, outcome: Outcome) -> None:
        """Counts one program."""
        self.programs += 1
        for kind, names in outcome.covered.items():
            self.covered.setdefault(kind, Counter()).update(names)
        self.ran.update(outcome.errors.keys())
        for name, error in outcome.errors.items():
            self.worst[name] = max(self.worst.get(name, 0.0), error)
        self.refused.update(outcome.refused)
        self.skipped.update(outcome.skipped)

    def merge(self, other: Tally) -> None:
        """Adds another's counts; a failure that is known counts as `again`."""
        self.programs += other.programs
        self.broken += other.broken
        self.damaged += other.damaged
        for kind, names in other.covered.items():
            self.covered.setdefault(kind, Counter()).update(names)
        for name, error in other.worst.items():
            self.worst[name] = max(self.worst.get(name, 0.0), error)
        for own, theirs in zip(self._counters(), other._counters(), strict=True):
            own.update(theirs)
        for failure in other.failures:
            self._found(failure)
        self.again += other.again

    def _found(self, failure: Failure) -> None:
        keys = [known.key for known in self.failures]
        if failure.key not in keys:
            self.failures.append(failure)
        elif failure.shrunk:
            self.failures[keys.index(failure.key)] = failure
        else:
            self.again += 1

    def _counters(self) -> tuple[Counter[Any], ...]:
        return self.ran, self.refused, self.skipped, self.faults

    def as_json(self) -> Mapping[str, Any]:
        """The whole of it as plain data."""
        return {
            "programs": self.programs,
            "broken": self.broken,
            "damaged": self.damaged,
            "covered": {kind: dict(names.most_common()) for kind, names in sorted(self.covered.items())},
            "runtimes": {name: {"programs": self.ran[name], "worst": self.worst[name]} for name in self.worst},
            "skipped": dict(self.skipped),
            "refused": [{"stage": s, "reason": r, "times": n} for (s, r), n in self.refused.most_common()],
            "faults": dict(self.faults.most_common()),
            "failures": [vars(failure) for failure in self.failures],
            "again": self.again,
        }
