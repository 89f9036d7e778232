"""From settings to what is reported of one package."""

from __future__ import annotations

from pathlib import Path

from mctc.linter.config import Settings
from mctc.linter.coreml.check import Choice
from mctc.linter.coreml.rule import Severity
from mctc.linter.coreml.table import Table
from mctc.linter.selection import layered


def choice_for(settings: Settings, package: Path, table: Table) -> Choice:
    """The rules that are shown for a package, with their severities. Raises UsageError for a selector of nothing."""
    known, subjects = table.rules, table.family
    found = layered(settings.layers_for(), known, subjects)
    for pattern, selectors in settings.per_package:  # a slip is said even where no package has that name
        layered([settings.per_package_layer(pattern, selectors).of(training=False)], known, subjects)
    kept = layered([layer.of(training=False) for layer in settings.ignored_in(package)], known, subjects).codes
    return Choice(found.codes & kept, {code: Severity(level) for code, level in found.severities.items()})
