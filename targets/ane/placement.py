"""What `mctc lint` says of the packages of a build, written beside them."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mctc.driver.options import BuildOptions
from mctc.driver.target import Written
from mctc.ir.islands import computes_wide
from mctc.ir.program import Program
from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.formats.json_report import render_json
from mctc.linter.coreml.formats.page import render_page
from mctc.linter.coreml.report import Finding, Place, Report
from mctc.linter.coreml.rule import Severity
from mctc.linter.coreml.rules import OF_NETWORKS
from mctc.linter.coreml.table import table
from mctc.package import Package
from mctc.targets.ane.summary import DATA, PAGE


def write_placement(
    program: Program, packages: Mapping[str, Package], folder: Path, options: BuildOptions, written: Written
) -> Sequence[str]:
    """Checks packages, as read back, for the device (the oldest if None), with places in the spec; returns errors as
    lines. Raises BuildError where a budget is predicted not to hold."""
    rules = list(table(without=OF_NETWORKS).rules.values())
    reports = []
    for artifact, package in packages.items():
        report = check_package(
            package, rules, device=options.device, places=_places(program, artifact, written),
            components={each.name: name for name, each in written.interfaces.items() if each.artifact == artifact},
        )  # fmt: skip
        reports.append(replace(report, path=artifact))  # not where it happens to be built
    (folder / DATA).write_text(f"{render_json(reports)}\n", encoding="utf-8")
    (folder / PAGE).write_text(f"{render_page(reports)}\n", encoding="utf-8")
    if options.budgets:
        from mctc.driver.budget import hold
        from mctc.targets.ane.predicted_cost import predicted_cost

        hold(options.budgets, predicted_cost(reports), reports[0].target)
    return [
        each
        for artifact, report in zip(packages, reports)
        for each in _errors(report, _asked(program, artifact, written))
    ]


ELEMENT_TYPES = "ANE-DT-"  # rules about fp32 among others, which the spec may ask for


def _errors(report: Report, asked: Container[tuple[str | None, str | None]]) -> list[str]:
    """The errors, but for parts in fp32 that the spec asks for: the page says where those run."""
    found = [each for each in report.findings if each.severity is Severity.ERROR]
    return [
        _line(each)
        for each in found
        if not (each.rule.code.startswith(ELEMENT_TYPES) and (each.function, each.op) in asked)
    ]


def _asked(program: Program, artifact: str, written: Written) -> set[tuple[str | None, str | None]]:
    """Functions and operations of a package that the spec wants in fp32."""
    return {
        (name, called)
        for name, interface in written.interfaces.items()
        if interface.artifact == artifact
        for called, index in written.origins[name].items()
        if computes_wide(program, program.functions[name].ops[index])
    }


def _line(finding: Finding) -> str:
    where = " of ".join(each for each in (finding.op, finding.function) if each)
    place = f", {finding.place.location}" if finding.place is not None else ""
    return f"{finding.rule.code} {finding.message}{f' ({where}{place})' if where else ''}"


def _places(program: Program, artifact: str, written: Written) -> dict[str, Mapping[str, Place]]:
    """Where the operations of a package come from, by the names of its functions."""
    found: dict[str, Mapping[str, Place]] = {}
    for name, interface in written.interfaces.items():
        if interface.artifact == artifact:
            ops = program.functions[name].ops
            origins = {called: ops[index].origin for called, index in written.origins[name].items()}
            found[interface.name] = {
                called: Place(str(origin.location), origin.path)
                for called, origin in origins.items()
                if origin.location is not None
            }
    return found
