"""One program through everything: the language, the compiler with every promise checked, every runtime."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from bench.fuzz import files
from bench.fuzz.constructs import constructs
from bench.fuzz.coverage import covered
from bench.fuzz.findings import FindingError, Outcome, guarded, place_of, reason_of
from bench.fuzz.runtimes import RUNTIMES, STEP, Asked, Case, Row, by_reference, by_target
from mctc.diagnostics.diagnostic import DiagnosticError
from mctc.diagnostics.errors import MctcError
from mctc.driver.options import BuildOptions
from mctc.ir.program import Program
from mctc.ir.text import parse_program, print_program
from mctc.ir.verify import VerificationError, verify
from mctc.language import elaborate_file, format_source
from mctc.rewrite.validate import ValidationError

BROKEN_PROMISES = (ValidationError, VerificationError)
WHOLE = "MCT0201"


def run_text(
    text: str, options: BuildOptions, *, streams: bool | None = None, runtimes: Iterable[str] | None = None,
    items: frozenset[str] = frozenset(),
) -> Outcome:  # fmt: skip
    """Everything that is to be seen of a spec. Raises FindingError for what is wrong.

    streams: whether every component is known to stream, or None. runtimes: names; all that are installed if None.
    items: names of what it is fed; the whole battery if there are none.
    """
    with tempfile.TemporaryDirectory(prefix="mctc-fuzz-") as folder:
        path = Path(folder) / "spec.mct"
        program = read(text, path)
        outcome = Outcome(covered={**covered(program), "construct": constructs(text)})
        for runtime in chosen(runtimes):
            if not runtime.installed:
                outcome.skipped.add(runtime.name)
                continue
            place = Path(folder) / runtime.name
            place.mkdir()
            _executed(runtime, program, options, place, outcome, streams, items)
        outcome.covered["fed"] = sorted(outcome.fed)
        return outcome


def chosen(names: Iterable[str] | None) -> list[Asked]:
    return [runtime for runtime in RUNTIMES if names is None or runtime.name in names]


def read(text: str, path: Path) -> Program:
    """The program of a spec, whose formatted and printed forms must be the same program."""
    try:
        program = _elaborated(text, path)
        formatted = guarded("format", lambda: format_source(text))
        if guarded("format", lambda: format_source(formatted)) != formatted:
            raise FindingError("format", "formatting twice is not formatting once")
        again = _elaborated(formatted, path)
        path.write_text(text, encoding="utf-8")  # messages show its lines
    except MctcError as error:
        raise FindingError("language", f"a valid spec is refused: {error.render()}") from error
    printed = print_program(program)
    if print_program(again) != printed:
        raise FindingError("format", "the formatted spec is another program")
    guarded("verify", lambda: verify(program))
    full = print_program(program, locations=True)
    if print_program(guarded("ir text", lambda: parse_program(full)), locations=True) != full:
        raise FindingError("ir text", "the printed program is read as another one")
    return program


def _elaborated(text: str, path: Path) -> Program:
    files.write(text, path.parent)
    path.write_text(text, encoding="utf-8")
    return guarded("elaborate", lambda: elaborate_file(path))


def _executed(
    runtime: Asked, program: Program, options: BuildOptions, folder: Path, outcome: Outcome, streams: bool | None,
    items: frozenset[str],
) -> None:  # fmt: skip
    first = not outcome.errors
    try:
        case = guarded(
            f"compile for {runtime.target}",
            lambda: Case.compile(runtime.target, program, replace(options, verify_each=first), items),
        )
    except MctcError as error:
        _refused(f"compile for {runtime.target}", error, outcome, streams)
        return
    if first and case.target.requirements.deploys:
        _errors(STEP, by_reference(case), outcome)
    _errors(runtime.name, by_target(case, runtime, folder), outcome)
    if runtime.target == "torch" and "objective" in program.train.settings and runtime.name in outcome.errors:
        _trained(program, case, folder, outcome)


def _trained(program: Program, case: Case, folder: Path, outcome: Outcome) -> None:
    """Calls the loss of the module that was written."""
    from bench.fuzz.training import STAGE, check_loss

    artifact = folder / "training" / f"{program.name}.py"
    outcome.errors[STAGE] = guarded(STAGE, lambda: check_loss(program, artifact, case.weights))


def _errors(name: str, rows: Iterator[Row], outcome: Outcome) -> None:
    try:
        found = guarded(name, lambda: list(rows))
    except MctcError as error:
        _refused(name, error, outcome, None)
        return
    for function, row in found:
        if not row.ok:
            what = (
                f"{function}.{row.result} differs from the reference by {row.found.error:.3g} of its largest magnitude"
            )
            raise FindingError(name, f"{what}, on {row.item.name}")
        outcome.fed.add(row.item.name)
        outcome.errors[name] = max(outcome.errors.get(name, 0.0), row.found.error)


def _refused(stage: str, error: MctcError, outcome: Outcome, streams: bool | None) -> None:
    """A refusal is counted; one that breaks a promise, names no place or says what is not true is a finding."""
    if isinstance(error, BROKEN_PROMISES):
        raise FindingError(stage, str(error)) from error
    if place_of(error) is None:
        raise FindingError(stage, f"refused without a place: {error}") from error
    if streams and isinstance(error, DiagnosticError) and error.diagnostics[0].code == WHOLE:
        raise FindingError(stage, f"a stream is refused: {error}") from error
    outcome.refused.append((stage, reason_of(error)))
