"""Packages from paths to reports: what `mctc lint` and `mctc.lint` are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mctc.diagnostics.errors import MctcError, UsageError
from mctc.linter.config import Settings, read_settings
from mctc.linter.coreml.check import Choice, check_package
from mctc.linter.coreml.choice import choice_for
from mctc.linter.coreml.models import models_of
from mctc.linter.coreml.network.check import check_network
from mctc.linter.coreml.packages import packages_of
from mctc.linter.coreml.places import components_of, places_of
from mctc.linter.coreml.report import Finding, Report, Unchecked
from mctc.linter.coreml.sizes import WantedShape, check_names, read_shapes, shape_text
from mctc.linter.coreml.table import Table, table
from mctc.linter.selection import Layer, severity_named
from mctc.package import ForeignModel, Package
from mctc.records import dataclass


@dataclass(frozen=True)
class Linted:
    """The reports of packages that were checked, and the members of pipelines that no rule was applied to.

    Printed it is the report of `mctc lint`; a notebook shows it as the page of `mctc lint --format html`.
    """

    reports: tuple[Report, ...]
    unchecked: tuple[Unchecked, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Of all reports."""
        return tuple(finding for report in self.reports for finding in report.findings)

    def __str__(self) -> str:
        from mctc.linter.coreml.formats.text import render_text

        return render_text(self.reports, unchecked=self.unchecked)

    def _repr_html_(self) -> str:
        from mctc.linter.coreml.formats.page import render_page

        return render_page(self.reports, self.unchecked)


def lint_paths(paths: Sequence[Path], settings: Settings, shapes: Mapping[str, Sequence[int]]) -> Linted:
    """Checks the packages that paths mean. Raises UsageError for a path that means none, and MctcError for a package of
    which nothing can be checked."""
    if not paths:
        raise UsageError("there is nothing to check", hint='name a package: mctc.lint("model.mlpackage")')
    wanted, rules = read_shapes(f"{name}={shape_text(shape)}" for name, shape in shapes.items()), table()
    reports: list[Report] = []
    unchecked: list[Unchecked] = []
    inputs: list[str] = []
    for package in chosen_packages(paths, settings):
        for model in models_of(package):
            if isinstance(model, Unchecked):
                if model.fails:
                    raise MctcError(model.reason, hint=model.hint or None)
                unchecked.append(model)
                continue
            inputs += inputs_of(model)
            choice = choice_for(settings, package, rules)
            reports.append(check_model(model, package, settings, rules, choice, wanted, components_of(package)))
    check_names(wanted, inputs)
    return Linted(tuple(reports), tuple(unchecked))


def settings_of(
    config: Path | None,
    select: Iterable[str],
    ignore: Iterable[str],
    severity: Mapping[str, str],
    *,
    device: str | None,
    os: str | None,
    exclude: Iterable[str],
) -> Settings:
    """What is asked for over the settings of a file, if one is named. Raises UsageError for what isn't understood."""
    levels = {code: severity_named(level, f"severity of {code}") for code, level in severity.items()}
    said = Settings((Layer(tuple(select), tuple(ignore), levels),), device, os, left_out=tuple(exclude))
    return (Settings() if config is None else read_settings(config)).merged(said)


def chosen_packages(paths: Iterable[Path], settings: Settings) -> list[Path]:
    """The packages that paths mean, but those that the settings leave out. Raises UsageError for a path of none."""
    found = packages_of(paths, settings.excludes)
    return [package for package in found if not settings.leaves_out(package)]


def inputs_of(model: Package | ForeignModel) -> list[str]:
    """The names of the inputs of a model that can be checked."""
    if isinstance(model, ForeignModel):
        return [item.name for item in model.inputs]
    return [item.name for function in model.functions.values() for item in function.inputs]


def check_model(
    model: Package | ForeignModel,
    package: Path,
    settings: Settings,
    rules: Table,
    choice: Choice,
    shapes: Sequence[WantedShape],
    components: Mapping[str, str],
) -> Report:
    """The report of a model that lies at `package`; the arguments are those of `check_package`."""
    known, device, system = rules.rules.values(), settings.device, settings.os
    if isinstance(model, ForeignModel):
        return check_network(model, known, device=device, system=system, choice=choice, shapes=shapes)
    return check_package(
        model, known, device=device, system=system, choice=choice, places=places_of(package), components=components,
        shapes=shapes,
    )  # fmt: skip
