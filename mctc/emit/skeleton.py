"""A target that writes step functions into files and executes them here; how a file is written is left to it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mctc.diagnostics.errors import MctcError
from mctc.driver.compiled import Compiled
from mctc.driver.engine import Engine
from mctc.driver.names import identifier
from mctc.driver.options import BuildError, BuildOptions
from mctc.driver.refusal import Refusal
from mctc.driver.target import Agreement, Target, Written
from mctc.ir.program import Function, Op, Program, Value
from mctc.records import dataclass

if TYPE_CHECKING:
    from mctc.weights import Weights

ALONG_ROWS = frozenset({"lower-attention", "lower-rnn", "lower-selective-scan"})
"""Passes that lower what runs along frames to ops on rows of vectors."""


@dataclass(frozen=True)
class Job:
    """What is written of a compiled program: its weights, where, and as what. `options` leave nothing open."""

    compiled: Compiled
    weights: Weights
    folder: Path
    options: BuildOptions
    metadata: Mapping[str, str]

    @property
    def states_as_io(self) -> bool:
        """Whether states are inputs and outputs."""
        return self.options.state == "io"


@dataclass(frozen=True)
class Emitted:
    """What is in an artifact, by the program's names of functions.

    operations: how many operations, constants not counted. made: the op that each operation was made from, by the
    operation's name, where the artifact has such names. called: a function's name there, where it is another. values:
    what values of the program are called there, where they have names.
    """

    operations: Mapping[str, int]
    made: Mapping[str, Mapping[str, Op]] = field(default_factory=dict)
    called: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[Value, str]] = field(default_factory=dict)


class Skeleton(Target):
    """Base of a target: grouping, interfaces, tables of lookups, refusals and the read-back, done for it.

    raises: its own error. lookups: whether rows of tables are left to the caller (mctc.ir.lookups). wide_rows: whether
    those of a table in fp32 are taken in fp32 by an artifact in fp16.
    proven_in: the precision in which artifacts are executed to be compared with the program, where it is not the one
    that they are built in. held_to: the one that a device computes in, where that is coarser.
    """

    raises: ClassVar[type[MctcError]] = BuildError
    lookups: ClassVar[bool] = True
    wide_rows: ClassVar[bool] = False
    proven_in: ClassVar[str | None] = None
    held_to: ClassVar[str | None] = None

    def refuses(self, compiled: Compiled, options: BuildOptions) -> Iterator[Refusal]:
        """Names of ports that clash; sequences that are no rows, for a target that has what runs along them lowered."""
        from mctc.driver.device_refusals import sequences_of_rows  # ops: who runs what was written needs none

        yield from super().refuses(compiled, options)
        if ALONG_ROWS.isdisjoint(self.requirements.without):
            yield from sequences_of_rows(compiled.deployed)

    @abstractmethod
    def write_artifact(self, job: Job, program: Program, functions: Sequence[Function], path: Path) -> Emitted:
        """Writes functions of a program as the file or folder `path`, which does not exist. Raises `raises`."""

    def write(
        self, compiled: Compiled, weights: Weights, folder: Path, options: BuildOptions, metadata: Mapping[str, str]
    ) -> Written:
        """Writes one artifact of all functions, or one for each, and the tables of lookups that are left to the caller
        beside them. Raises `raises`."""
        from mctc.driver.tables import write_tables

        job = Job(compiled, weights, folder, options.resolved(self.forms), metadata)
        written = self.emit(job, compiled.deployed)
        if self.lookups:
            write_tables(compiled.deployed, weights, folder)
        return written

    def emit(self, job: Job, program: Program, more: str = "") -> Written:
        """Writes the functions of a program. more: what names of their artifacts have besides."""
        written = Written((), {})
        for artifact, functions in self._grouped(program, job.options, more).items():
            emitted = self.write_artifact(job, program, functions, job.folder / artifact)
            written = self._with(written, job, artifact, program, functions, emitted)
        return written

    def check(
        self, compiled: Compiled, weights: Weights, folder: Path, options: BuildOptions, written: Written
    ) -> list[Agreement]:
        """Opens the artifacts again, executes and compares them. Raises `raises` where one disagrees."""
        from mctc.numerics.limits import FP16
        from mctc.proof.readback import Readback

        precision = self.proven_in or options.resolved(self.forms).precision or ""
        opened = lru_cache(maxsize=1)(lambda artifact: self.read_back(artifact, precision))
        held_to = FP16 if "fp16" in (precision, self.held_to) else None
        read = Readback(folder, opened, precision, self.raises, held_to, self.named, self.mixed_precision)
        steps = read.steps(compiled.deployed, weights, written.interfaces)
        return steps + read.whole(self.uttered(compiled), weights.of_another_program(), written.whole)

    def named(self, artifact: Path, function: str) -> Mapping[Value, str] | None:
        """What values of a function of the program are called in an artifact that was just written; None where they
        have no names in it."""
        return None

    def uttered(self, compiled: Compiled) -> Program:
        """The program that functions over whole utterances are written from."""
        return compiled.whole

    def read_back(self, artifact: Path, precision: str) -> Engine:
        """What executes an artifact that was just written, after any check of its form. Raises MctcError."""
        return self.engine(artifact, precision)

    def _grouped(self, program: Program, options: BuildOptions, more: str) -> Mapping[str, list[Function]]:
        """Functions by the artifact that holds them. One that can hold all goes by the program's name alone."""
        functions, stem = list(program.functions.values()), identifier(program.name)
        alone = options.layout == "separate" and (len(functions) > 1 or "single" not in self.forms["layout"])
        if not alone:
            return {f"{stem}{more}{self.suffix or ''}": functions}
        return {f"{stem}_{identifier(each.name)}{more}{self.suffix or ''}": [each] for each in functions}

    def _with(
        self,
        written: Written,
        job: Job,
        artifact: str,
        program: Program,
        functions: Sequence[Function],
        emitted: Emitted,
    ) -> Written:
        from mctc.emit.ports import element_types, interface
        from mctc.ir.lookups import wide_rows

        interfaces, origins = dict(written.interfaces), dict(written.origins)
        elements = element_types(job.options.precision or "")
        for function in functions:
            name = function.name
            interfaces[name] = interface(
                function, artifact, elements, emitted.operations[name],
                states_as_io=job.states_as_io, lookups=self.lookups, name=emitted.called.get(name, ""),
                wide=wide_rows(program, function) if self.wide_rows else (),
            )  # fmt: skip
            if name in emitted.made:
                position = {op: index for index, op in enumerate(function.ops)}
                origins[name] = {called: position[op] for called, op in emitted.made[name].items()}
        return Written((*written.artifacts, artifact), interfaces, origins)


def check_precision(artifact: Path, asked: str, computes: str = "fp32") -> None:
    """Raises BuildError where another precision is asked for than the one in which an artifact computes."""
    if asked != computes:
        raise BuildError(f"{artifact} computes in {computes}, not in {asked}", hint="leave --arithmetic off")
