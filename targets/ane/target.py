"""The target class that the registry finds under the name `ane`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mctc.driver.compiled import Compiled, Requirements
from mctc.driver.device_refusals import long_axes, lookups_that_stay, whole_numbers
from mctc.driver.options import LAYOUTS, STATES, BuildOptions
from mctc.driver.refusal import Refusal
from mctc.driver.target import Load, Written
from mctc.emit.skeleton import Emitted, Job, Skeleton
from mctc.ir.program import Function, Program, Value
from mctc.targets.ane.errors import EmitError

if TYPE_CHECKING:
    from mctc.driver.engine import Engine
    from mctc.package import Package
    from mctc.weights import Weights


class AneTarget(Skeleton):
    """Core ML packages for the Neural Engine: ML programs of the iOS 18 opset."""

    name: ClassVar[str] = "ane"
    raises = EmitError
    requirements = Requirements(latencies=True)
    forms = {"state": STATES, "layout": LAYOUTS, "precision": ("fp16",)}
    suffix: ClassVar[str | None] = ".mlpackage"
    runtime: ClassVar[str | None] = "package evaluator"
    computes = ("fp32", "fp16")
    wide_rows = True
    proven_in, held_to = "fp32", "fp16"
    cross_checks: ClassVar[bool] = True
    mixed_precision: ClassVar[bool] = True
    as_engine: ClassVar[bool] = True
    budgets = ("compile", "disk", "memory", "first-call", "call")
    splits: ClassVar[bool] = True
    extra_targets: ClassVar[tuple[str, ...]] = ("torch",)

    def __init__(self) -> None:
        self._read: dict[Path, Package] = {}
        self._values: dict[Path, Mapping[str, Mapping[Value, str]]] = {}  # by artifact and function: their names there
        self._parts: tuple[Program, Written] | None = None  # of a build whose functions are chains

    def refuses(self, compiled: Compiled, options: BuildOptions) -> Iterator[Refusal]:
        """What `mctc lint` would call an error, too."""
        yield from super().refuses(compiled, options)
        if not options.allow_errors:
            yield from whole_numbers(compiled.whole)
            yield from lookups_that_stay(compiled.deployed)
            yield from long_axes(compiled.deployed, options.device)

    def write(
        self, compiled: Compiled, weights: Weights, folder: Path, options: BuildOptions, metadata: Mapping[str, str]
    ) -> Written:
        """Writes packages; with `--split` one for each part, and what calls them as one function. Raises EmitError."""
        if options.split is None:
            return super().write(compiled, weights, folder, options, metadata)
        from mctc.targets.ane.parts import write_parts

        job = Job(compiled, weights, folder, options.resolved(self.forms), metadata)
        self._parts, written = write_parts(self, job, options.split)
        return written

    def write_artifact(self, job: Job, program: Program, functions: Sequence[Function], path: Path) -> Emitted:
        """Writes a package. Raises EmitError."""
        from mctc.targets.ane.package import write_package

        self._read.clear()
        emitted = write_package(program, functions, job.weights, path, job.states_as_io, job.metadata)
        self._values[path] = emitted.values
        return emitted

    def named(self, artifact: Path, function: str) -> Mapping[Value, str] | None:
        """What `write_artifact` called them."""
        return self._values.get(artifact, {}).get(function)

    def read_back(self, artifact: Path, precision: str) -> Engine:
        """The evaluator, which checks every type. Raises PackageError, TypeMismatch or UnsupportedOp."""
        from mctc.evaluate.coreml import Evaluator

        if is_chain(artifact):
            return _chain(artifact, lambda part: self.read_back(part, precision))
        return Evaluator(self._package(artifact), precision, keep_weights=False, check_types=True)

    def report(self, compiled: Compiled, folder: Path, options: BuildOptions, written: Written) -> Sequence[str]:
        """Writes placement.html and placement.json; returns what `mctc lint` finds at error severity."""
        from mctc.targets.ane.placement import write_placement

        program, written = self._parts or (compiled.deployed, written)
        packages = {artifact: self._package(folder / artifact) for artifact in written.artifacts}
        return write_placement(program, packages, folder, options, written)

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

        if is_chain(artifact):
            return _chain(artifact, lambda part: self.engine(part, precision))
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
        from mctc.targets.ane.chain import packages
        from mctc.targets.ane.coremltools_check import check_with_coremltools

        if is_chain(artifact):
            return sum(map(self.retyped, packages(artifact)))
        return check_with_coremltools(artifact, hide=True)

    def _package(self, path: Path) -> Package:
        """A package as read back from disk: once, for all who look at it."""
        from mctc.package import read_package

        if path not in self._read:
            self._read[path] = read_package(path)
        return self._read[path]


def is_chain(artifact: Path) -> bool:
    """Whether it says how the parts of a split function are called."""
    return artifact.name.endswith(".chain.json")


def _chain(artifact: Path, opened: Callable[[Path], Engine]) -> Engine:
    from mctc.targets.ane.chain import Chain

    return Chain(artifact, opened)
