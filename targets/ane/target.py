"""The target class that the registry finds under the name `ane`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mctc.driver.compile import Compiled, Requirements
from mctc.driver.device_refusals import long_axes, lookups_that_stay, whole_numbers
from mctc.driver.engine import Engine
from mctc.driver.options import LAYOUTS, STATES, BuildOptions
from mctc.driver.refusal import Refusal
from mctc.driver.target import Load, Written
from mctc.emit.skeleton import Emitted, Job, Skeleton
from mctc.ir.program import Function, Program
from mctc.targets.ane.errors import EmitError

if TYPE_CHECKING:
    from mctc.package import Package


class AneTarget(Skeleton):
    """Core ML packages for the Neural Engine: ML programs of the iOS 18 opset."""

    name: ClassVar[str] = "ane"
    raises = EmitError
    requirements = Requirements(latencies=True)
    forms = {"state": STATES, "layout": LAYOUTS, "precision": ("fp16",)}
    suffix: ClassVar[str | None] = ".mlpackage"
    runtime: ClassVar[str | None] = "package evaluator"
    computes = ("fp32", "fp16")
    proven_in, held_to = "fp32", "fp16"
    cross_checks: ClassVar[bool] = True
    as_engine: ClassVar[bool] = True
    budgets = ("compile", "disk", "memory", "first-call", "call")
    extra_targets: ClassVar[tuple[str, ...]] = ("torch",)

    def __init__(self) -> None:
        self._read: dict[Path, Package] = {}

    def refuses(self, compiled: Compiled, options: BuildOptions) -> Iterator[Refusal]:
        """What `mctc lint` would call an error, too."""
        yield from super().refuses(compiled, options)
        if not options.allow_errors:
            yield from whole_numbers(compiled.whole)
            yield from lookups_that_stay(compiled.deployed)
            yield from long_axes(compiled.deployed, options.device)

    def write_artifact(self, job: Job, program: Program, functions: Sequence[Function], path: Path) -> Emitted:
        """Writes a package. Raises EmitError."""
        from mctc.targets.ane.package import write_package

        self._read.clear()
        return write_package(program, functions, job.weights, path, job.states_as_io, job.metadata)

    def read_back(self, artifact: Path, precision: str) -> Engine:
        """The evaluator, which checks every type. Raises PackageError, TypeMismatch or UnsupportedOp."""
        from mctc.evaluate.coreml import Evaluator

        return Evaluator(self._package(artifact), precision, keep_weights=False, check_types=True)

    def report(self, compiled: Compiled, folder: Path, options: BuildOptions, written: Written) -> Sequence[str]:
        """Writes placement.html and placement.json; returns what `mctc lint` finds at error severity."""
        from mctc.targets.ane.placement import write_placement

        packages = {artifact: self._package(folder / artifact) for artifact in written.artifacts}
        return write_placement(compiled.deployed, packages, folder, options, written)

    def summary(self, folder: Path) -> Sequence[str]:
        """Where the functions are predicted to run, and what that costs."""
        from mctc.targets.ane.summary import summary

        return summary(folder)

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
        from mctc.targets.ane.coremltools_check import check_with_coremltools

        return check_with_coremltools(artifact, hide=True)

    def _package(self, path: Path) -> Package:
        """A package as read back from disk: once, for all who look at it."""
        from mctc.package import read_package

        if path not in self._read:
            self._read[path] = read_package(path)
        return self._read[path]
