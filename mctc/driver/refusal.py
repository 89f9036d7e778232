"""What a target can't take of a program: told by `mctc check`, refused by a build before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mctc.diagnostics.diagnostic import Diagnostic, DiagnosticError, Severity, diagnostic_at
from mctc.diagnostics.near import listing
from mctc.driver.names import taken_twice
from mctc.ir.location import Location
from mctc.ir.program import Program
from mctc.records import dataclass


@dataclass(frozen=True)
class Refusal:
    """What a target can't take of a program, why, and where the spec says it."""

    message: str
    location: Location | None
    hint: str | None = None
    code: str = "MCT0206"

    @classmethod
    def of(cls, found: Diagnostic) -> Refusal:
        """What a diagnostic says, as a refusal."""
        return cls(found.message, found.span.location if found.span else None, found.hint, found.code)

    def diagnostic(self, targets: Sequence[str], severity: Severity = Severity.ERROR) -> Diagnostic:
        """The refusal as that of these targets."""
        whom = f"target{'s' * (len(targets) > 1)} {listing(targets)}"
        return diagnostic_at(self.location, self.code, f"{whom}: {self.message}", hint=self.hint, severity=severity)


def refuse(refusals: Iterable[Refusal], target: str) -> None:
    """Raises DiagnosticError with everything that a target refuses."""
    found = [refusal.diagnostic([target]) for refusal in refusals]
    if found:
        raise DiagnosticError(found)


def port_clashes(program: Program, state: str) -> Iterator[Refusal]:
    """Inputs, results and states of a function that would have one name in an artifact; `state` as of BuildOptions."""
    for function in program.functions.values():
        for name in taken_twice(function, state):
            told = f"two inputs, results or states of `{function.name}` are called `{name}`"
            yield Refusal(told, function.origin.location, "rename one of them")
