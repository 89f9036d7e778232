"""`mctc lint` for Core ML packages: read, check, print, and say how it ended."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mctc.diagnostics.errors import ExitCode, MctcError, UsageError
from mctc.linter.config import NEVER, Settings, read_settings
from mctc.linter.selection import Layer, layered, read_severities
from mctc.records import dataclass

if TYPE_CHECKING:
    from mctc.linter.coreml.report import Report, Unchecked
    from mctc.linter.coreml.rule import Severity
    from mctc.linter.coreml.sizes import WantedShape
    from mctc.linter.coreml.table import Table

FAIL_ON = "error"


@dataclass(frozen=True)
class LintRequest:
    """What the command line asks for beside the settings."""

    output: Path | None
    everything: bool
    statistics: bool
    write_baseline: Path | None
    diff: bool
    measured: Path | None
    fix: bool
    dry_run: bool
    effects: bool = False


def lint_packages(
    paths: Sequence[Path],
    *,
    device: str | None,
    system: str | None,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    severity: tuple[str, ...],
    fail_on: str | None,
    form: str | None,
    baseline: Path | None,
    config: Path | None,
    isolated: bool,
    shapes: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
    **wanted: Any,
) -> int:
    """Checks packages and returns the exit code. Raises UsageError for a command line at fault."""
    from mctc.linter.coreml.lint import chosen_packages
    from mctc.linter.coreml.table import table

    layer = Layer(select, ignore, read_severities(severity))
    said = Settings((layer,), device, system, fail_on, baseline, form, left_out=exclude)
    settings = read_settings(config, isolated=isolated).merged(said)
    job = _Job(settings, LintRequest(**wanted), table(), _shapes(settings, shapes))
    return job.run(chosen_packages(paths, settings))


def _shapes(settings: Settings, given: tuple[str, ...]) -> tuple[WantedShape, ...]:
    """The shapes of the command line over those of the file."""
    from mctc.linter.coreml.sizes import read_shapes

    of_file = read_shapes(settings.shape, f"{settings.file}: shape", must_exist=False)
    said = read_shapes(given)
    names = {each.input for each in said}
    return (*said, *(each for each in of_file if each.input not in names))


def print_exporter() -> int:
    """Prints the script that writes a measured plan on a Mac."""
    from mctc.linter.coreml.measured import exporter

    click.echo(exporter(), nl=False)
    return ExitCode.OK


class _Job:
    """One call. `unchecked` are the models that no rule was applied to."""

    def __init__(
        self, settings: Settings, wanted: LintRequest, rules: Table, shapes: Sequence[WantedShape] = ()
    ) -> None:
        self.settings, self.wanted, self.rules, self.shapes = settings, wanted, rules, shapes
        self.unchecked: list[Unchecked] = []
        self.inputs: list[str] = []
        self.effects: list[str] = []

    def run(self, packages: Sequence[Path]) -> int:
        _check_wanted(self.wanted, self.settings, len(packages))
        if not packages:
            click.echo("no package is left to check: `exclude` leaves them all out", err=True)
        if self.wanted.fix:
            self.fix(packages)
        reports = list(self.checked_all(packages))
        if reports:
            self.check_shapes()
        if self.wanted.write_baseline is not None:
            return self.ended(self.write_baseline(reports))
        if self.wanted.diff and reports:
            return self.ended(self.compare(reports))
        if self.settings.baseline is not None and self.wanted.measured is None:
            reports = self.without_known(reports)
        if reports or (self.unchecked and self.settings.format in RENDER):
            self.show(reports)
        return self.ended(self.fails(reports))

    def checked_all(self, packages: Sequence[Path]) -> Iterator[Report]:
        """The reports of all packages that can be read."""
        for index, package in enumerate(packages):
            if index:
                gc.collect()  # a graph is full of cycles, and no search for them runs by itself (no_cycle_search)
            yield from self.checked(package)

    def checked(self, package: Path) -> Iterator[Report]:
        """The reports of a package's programs; what can't be checked is told and kept."""
        from mctc.linter.coreml.check import Choice
        from mctc.linter.coreml.choice import choice_for
        from mctc.linter.coreml.lint import check_model, inputs_of
        from mctc.linter.coreml.models import models_of
        from mctc.linter.coreml.report import Unchecked
        from mctc.package import Package

        choice = choice_for(self.settings, package, self.rules)
        if self.wanted.measured is not None:  # a rule is scored by what it says, shown or not
            choice = Choice(severities=choice.severities)
        for model in models_of(package):
            if isinstance(model, Unchecked):
                self.unchecked.append(model)
                self.tell(model)
            else:
                self.inputs += inputs_of(model)
                components = self.components(package)
                yield check_model(model, package, self.settings, self.rules, choice, self.shapes, components)
                if self.wanted.effects and isinstance(model, Package):
                    from mctc.linter.coreml.effects import effect_lines

                    self.effects += effect_lines(model)

    def check_shapes(self) -> None:
        """Raises UsageError for a shape on the command line of an input that no package has."""
        from mctc.linter.coreml.sizes import check_names

        check_names(self.shapes, self.inputs)

    def components(self, package: Path) -> Mapping[str, str]:
        """What to call functions of a build; a plan and another package are compared by the package's own names."""
        from mctc.linter.coreml.places import components_of

        return {} if self.wanted.diff or self.wanted.measured else components_of(package)

    def tell(self, model: Unchecked) -> None:
        """A package of which nothing was checked is an error; a member of a pipeline stands in the report."""
        from mctc.cli.columns import tell
        from mctc.cli.terminal import color_wanted

        if model.fails:
            error = MctcError(model.reason, hint=model.hint or None)
            tell(error.render(color=color_wanted(sys.stderr)))
            for line in model.about:
                tell(f"  {line}")

    def show(self, reports: list[Report]) -> None:
        """Prints or writes the report in the wanted form, then what was measured if that is asked for."""
        form = self.settings.format or "text"
        if self.wanted.measured is not None:
            self.print(self.agreement(reports, form))
        elif self.wanted.statistics:
            self.print(_statistics(reports))
        elif form == "text":
            from mctc.linter.coreml.formats.text import render_text

            everything = self.wanted.everything
            text = render_text(reports, color=self.color, everything=everything, unchecked=self.unchecked)
            self.print("\n".join([text, *_told(self.effects)]))
        else:
            self.print(RENDER[form](reports, self.unchecked))

    @property
    def color(self) -> bool:
        from mctc.cli.terminal import color_wanted

        return self.wanted.output is None and color_wanted(sys.stdout)

    def print(self, text: str) -> None:
        if self.wanted.output is None:
            click.echo(text, nl=bool(text))
            return
        from mctc.atomic import write_text

        try:
            write_text(self.wanted.output, f"{text}\n")
        except BrokenPipeError:
            raise
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise UsageError(f"{self.wanted.output}: can't be written ({reason})") from error

    @property
    def fail_on(self) -> Severity | None:
        """The least severity that fails; None: nothing does."""
        from mctc.linter.coreml.rule import Severity

        level = self.settings.fail_on or FAIL_ON
        return None if level == NEVER else Severity(level)

    def fails(self, reports: Sequence[Report]) -> bool:
        """Whether anything is found of the severity that fails, or of a worse one."""
        level = self.fail_on
        found = (finding.severity for report in reports for finding in report.findings)
        return level is not None and any(severity.rank <= level.rank for severity in found)

    def ended(self, failed: bool) -> int:
        if any(model.fails for model in self.unchecked):
            return ExitCode.USAGE
        return ExitCode.FAILED if failed else ExitCode.OK

    def fix(self, packages: Sequence[Path]) -> None:
        """Repairs every package in its place and tells what was done. Raises MctcError: nothing was changed then."""
        from mctc.linter.coreml.choice import choice_for
        from mctc.linter.coreml.fix.apply import fix_package

        for package in packages:
            codes = choice_for(self.settings, package, self.rules).codes
            fixed = fix_package(package, codes, write=not self.wanted.dry_run)
            for change in fixed.changes:
                click.echo(f"{change.code}  {change.function}: {change.what}", err=True)
            did = "would be repaired" if self.wanted.dry_run else "repaired"
            proof = f", {fixed.compared} values equal bit for bit" if fixed.compared else ""
            click.echo(f"{package}: {len(fixed.changes)} {did}{proof}", err=True)

    def write_baseline(self, reports: Sequence[Report]) -> bool:
        from mctc.linter.coreml.baseline import save

        assert self.wanted.write_baseline is not None
        save(reports, self.wanted.write_baseline)
        found = sum(len(report.findings) for report in reports)
        click.echo(f"{self.wanted.write_baseline}: {found} finding{'s' * (found != 1)} written")
        return False

    def without_known(self, reports: Sequence[Report]) -> list[Report]:
        from mctc.linter.coreml import baseline

        assert self.settings.baseline is not None
        known = baseline.read(self.settings.baseline)
        shown = layered(self.settings.layers_for(), self.rules.rules, self.rules.family).codes
        gone = baseline.stale(reports, known, shown)
        if gone:
            click.echo(
                f"{self.settings.baseline}: {len(gone)} no longer found; --write-baseline leaves them out", err=True
            )
        return [baseline.apply(report, known) for report in reports]

    def compare(self, reports: Sequence[Report]) -> bool:
        """Prints what changed; whether something got worse that fails. Nothing is compared where a model can't be."""
        from mctc.linter.coreml.diff import compare, pairs
        from mctc.linter.coreml.formats.difference import diff_json, render_diff

        if any(model.fails for model in self.unchecked):
            return False
        found = [compare(old, new) for old, new in pairs(reports)]
        as_json = self.settings.format == "json"
        self.print(diff_json(found) if as_json else "\n\n".join(render_diff(each, color=self.color) for each in found))
        return any(each.fails(self.fail_on) for each in found)

    def agreement(self, reports: Sequence[Report], form: str) -> str:
        from mctc.linter.coreml.agreement import agreement
        from mctc.linter.coreml.formats.agreement import agreement_json, render_agreement
        from mctc.linter.coreml.measured import read_plan

        assert self.wanted.measured is not None
        report = reports[0]
        if len(reports) > 1:
            members = ", ".join(each.member for each in reports)
            raise UsageError(f"{report.path}: a pipeline of {members}; a plan is compared with one program")
        if report.network is not None:
            raise UsageError(f"{report.path}: a neural network, of which no placement is predicted to compare with")
        found = agreement(report, read_plan(self.wanted.measured))
        if form == "json":
            return agreement_json(found)
        return render_agreement(found, color=self.color, everything=self.wanted.everything)


def _check_wanted(wanted: LintRequest, settings: Settings, packages: int) -> None:
    """Raises UsageError for options that do not go together."""
    form = settings.format or "text"
    if wanted.statistics and form != "text":
        raise UsageError(f"--statistics has no form {form!r}", hint="leave out --format, or --statistics")
    if wanted.diff and packages != 2:
        raise UsageError(f"--diff compares two packages, not {packages}", hint="mctc lint --diff OLD NEW")
    if wanted.measured is not None and packages != 1:
        raise UsageError(f"a plan is of one package, not of {packages}", hint="name the package it was made from")
    if (wanted.diff or wanted.measured) and form not in ("text", "json"):
        raise UsageError(f"--{'diff' if wanted.diff else 'measured'} has no form {form!r}", hint="text or json")
    if wanted.effects and form != "text":
        raise UsageError(f"--effects has no form {form!r}", hint="mctc run PACKAGE --input x.npy --faults all --json")
    if wanted.dry_run and not wanted.fix:
        raise UsageError("--dry-run is for --fix", hint="mctc lint --fix --dry-run model.mlpackage")


def _told(effects: Sequence[str]) -> list[str]:
    """Lines about known miscompiles, at most 80 columns where they can be broken."""
    from textwrap import wrap

    lines = [line for each in effects for line in wrap(each, 78, initial_indent="  ", subsequent_indent="      ")]
    return ["", "known miscompiles (docs/faults.md):", *lines] if effects else []


def _statistics(reports: Sequence[Report]) -> str:
    counts: Counter[str] = Counter()
    rules = {}
    for report in reports:
        for finding in report.findings:
            counts[finding.rule.code] += 1
            rules[finding.rule.code] = finding
    ordered = sorted(counts, key=lambda code: (rules[code].severity.rank, -counts[code], code))
    return "\n".join(
        f"{counts[code]:6}  {rules[code].severity.value:11}  {code}  {rules[code].rule.summary}" for code in ordered
    )


def _json(reports: Sequence[Report], unchecked: Sequence[Unchecked]) -> str:
    from mctc.linter.coreml.formats.json_report import render_json

    return render_json(reports, unchecked)


def _sarif(reports: Sequence[Report], unchecked: Sequence[Unchecked]) -> str:
    from mctc.linter.coreml.formats.sarif import render_sarif

    return render_sarif(reports, unchecked)


def _github(reports: Sequence[Report], unchecked: Sequence[Unchecked]) -> str:
    from mctc.linter.coreml.formats.github import render_github

    return render_github(reports, unchecked)


def _markdown(reports: Sequence[Report], unchecked: Sequence[Unchecked]) -> str:
    from mctc.linter.coreml.formats.markdown import render_markdown

    return render_markdown(reports, unchecked)


def _html(reports: Sequence[Report], unchecked: Sequence[Unchecked]) -> str:
    from mctc.linter.coreml.formats.page import render_page

    return render_page(reports, unchecked)


RENDER: dict[str, Callable[[Sequence[Report], Sequence[Unchecked]], str]] = {
    "json": _json,
    "sarif": _sarif,
    "github": _github,
    "markdown": _markdown,
    "html": _html,
}
