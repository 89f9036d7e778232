"""The operations of a package that are predicted to run on the Neural Engine, for whoever executes them as it does."""

from __future__ import annotations

from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.report import Report
from mctc.linter.coreml.segment import Backend
from mctc.linter.coreml.sized import SizedPackage
from mctc.linter.coreml.table import table
from mctc.package import Package


def engine_ops(package: Package, device: str) -> dict[str, frozenset[int]]:
    """For every function the indices of the operations on the engine of a chip or family, in the reading as it is.

    Raises UsageError for an unknown device.
    """
    return ops_of(package, check_package(package, table().rules.values(), device=device))


def ops_of(package: Package, report: Report) -> dict[str, frozenset[int]]:
    """The same of a report on the package."""
    graphs = SizedPackage(package).main.functions
    return {
        each.name: frozenset(
            op.operation.index
            for segment in each.segments if segment.backend is Backend.ANE
            for op in graphs[each.name].ops[segment.first : segment.last + 1]
        )
        for each in report.functions
    }  # fmt: skip
