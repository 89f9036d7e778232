"""The target class that the registry finds under the name `ane`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mctc.driver.compile import Compiled
from mctc.driver.device_refusals import long_axes, lookups_that_stay, sequences_of_rows, whole_numbers
from mctc.driver.engine import Engine
from mctc.driver.options import LAYOUTS, STATES, BuildOptions
from mctc.driver.refusal import Refusal
from mctc.driver.target import Agreement, Load, Target, Written

if TYPE_CHECKING:
    from mctc.package import Package
    from mctc.weights import Weights


class AneTarget(Target):
    """Core ML packages for the Neural Engine: ML programs of the iOS 18 opset."""

    name: ClassVar[str] = "ane"
    forms = {"state": STATES, "layout": LAYOUTS, "precision": ("fp16",)}
    suffix: ClassVar[str | None] = ".mlpackage"
    runtime: ClassVar[str | None] = "package evaluator"
    computes = ("fp32", "fp16")
    witness: ClassVar[bool] = True
    as_engine: ClassVar[bool] = True
    budgets = ("compile", "disk", "memory", "first-call", "call")
    beside: ClassVar[tuple[str, ...]] = ("torch",)

    def __init__(self) -> None:
        self._read: dict[Path, Package] = {}

    def refuses(self, compiled: Compiled, options: BuildOptions) -> Iterator[Refusal]:
        """Ports that clash, sequences that are no rows; what `mctc lint` would call an error, too."""
        program = compiled.deployed
        yield from super().refuses(compiled, options)
        yield from sequences_of_rows(program)
        if not options.allow_errors:
            yield from whole_numbers(compiled.whole)
            yield from lookups_that_stay(program)
            yield from long_axes(program, options.device)

    def write(
        self, compiled: Compiled, weights: Weights, folder: Path, options: BuildOptions, metadata: Mapping[str, str]
    ) -> Written:
        """Writes one package, or one for each function. Raises EmitError."""
        from mctc.targets.ane.package import write_packages

        self._read.clear()
        return write_packages(
            compiled.deployed,
            weights,
            folder,
            separate=options.layout == "separate",
            states_as_io=options.state == "io",
            metadata=metadata,
        )

    def check(
        self, compiled: Compiled, weights: Weights, folder: Path, options: BuildOptions, written: Written
    ) -> list[Agreement]:
        """Reads the packages back, type-checks and evaluates them. Raises MctcError where they disagree."""
        from mctc.targets.ane.readback import check_packages

        return check_packages(compiled.deployed, weights, self._packages(folder, written), folder, written)

    def report(self, compiled: Compiled, folder: Path, options: BuildOptions, written: Written) -> Sequence[str]:
        """Writes placement.html and placement.json; returns what `mctc lint` finds at error severity."""
        from mctc.targets.ane.placement import write_placement

        return write_placement(compiled.deployed, self._packages(folder, written), folder, options, written)

    def engine(self, artifact: Path, precision: str, load: Load | None = None) -> Engine:
        """The evaluator; in an engine's arithmetic for the ops that are predicted to run on an engine of that family.

        Raises PackageError and what compiling a function raises, UsageError for an unknown arithmetic.
        """
        from mctc.evaluate.coreml import Evaluator
        from mctc.evaluate.engine.arithmetic import arithmetic

        asked = arithmetic(precision)
        if asked.kind != "engine":
            return Evaluator(artifact, precision)
        from mctc.linter.coreml.engine_ops import engine_ops
        from mctc.package import read_package

        package = read_package(artifact)
        return Evaluator(package, precision, placed=engine_ops(package, asked.family))

    def retyped(self, artifact: Path) -> int:
        """How many operations of a package coremltools' own MIL builder accepts and infers the declared types of.

        Imports coremltools, which no build does; what it would import besides stays out. Raises EmitError.
        """
        from mctc.targets.ane.witness import check_with_coremltools

        return check_with_coremltools(artifact, hide=True)

    def _packages(self, folder: Path, written: Written) -> dict[str, Package]:
        """The packages as read back from disk: once, for all who look at them."""
        from mctc.package import read_package

        paths = {artifact: folder / artifact for artifact in written.artifacts}
        self._read.update((path, read_package(path)) for path in paths.values() if path not in self._read)
        return {artifact: self._read[path] for artifact, path in paths.items()}
