"""The ways to execute a program: each is built in a folder, run over the battery, and held to the IR reference.

A runtime is a target whose artifacts can be run: its steps over chunks and, where it writes those, its functions over
whole utterances. Two links hold each of them to the program: the deployed steps in the IR equal the whole functions in
the IR, and the artifact equals the deployed steps with the parameters that it stores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mctc.driver.compiled import Compiled
from mctc.driver.engine import Engine
from mctc.driver.make import compile_for, target_named
from mctc.driver.manifest import WHOLE
from mctc.driver.options import BuildOptions
from mctc.driver.target import Target, Written
from mctc.ir.op import Array
from mctc.ir.printer import print_program
from mctc.ir.program import Program
from mctc.numerics.limits import FP32, STEPS, Limit
from mctc.plugins import registry
from mctc.proof.check import Measured, compare
from mctc.proof.subject import Subject
from mctc.runtime.built import BuiltFunction, function_of, whole_of
from mctc.runtime.step import Step, stepping
from mctc.streaming.run import Call
from mctc.weights import Weights

Arrays = Mapping[str, Array]
Row = tuple[str, Measured]  # a function, and one result of it over one item of the battery


@dataclass(frozen=True)
class Asked:
    """A target whose artifacts can be executed. needs: modules without which it is skipped.

    exact: whether it holds parameters that are not compressed as they are, not rounded to fp16.
    """

    name: str
    target: str
    needs: tuple[str, ...] = ()
    exact: bool = False
    limit: Limit = FP32

    @property
    def installed(self) -> bool:
        known = self.target in registry().names("targets") and all(find_spec(name) is not None for name in self.needs)
        return known and target_named(self.target).runtime is not None


RUNTIMES = (
    Asked("package", "ane"),
    Asked("torch", "torch", ("torch",)),
    Asked("onnxruntime", "onnx", ("onnx", "onnxruntime")),
    Asked("coreai", "coreai", ("coreai",)),
    Asked("mlx", "mlx", ("mlx",)),
)
STEP = "ir-step"  # the deployed step in the IR: every build that deploys has it


@dataclass
class Case:
    """A program compiled for one target. items: names of what it is fed; the whole battery if there are none."""

    target: Target
    options: BuildOptions
    compiled: Compiled
    items: frozenset[str] = frozenset()
    kept: dict[int, Weights] = field(default_factory=dict)

    @classmethod
    def compile(cls, target: str, program: Program, options: BuildOptions, items: frozenset[str]) -> Case:
        """Raises MctcError."""
        found = target_named(target)
        options = suited(options, found)
        return cls(found, options, compile_for(found, program, options), items)

    def subject(self, exact: bool) -> Subject:
        """exact: parameters, and numbers that deploy passes brought in, as they are before they are rounded."""
        made = self.compiled
        steps = made.lowered if exact else made.deployed
        return Subject(made.reference, steps, made.steps, made.lengths, self.weights, self.items, exact=exact)

    def weights(self, program: Program) -> Weights:
        """Values of a program's parameters; programs before and after a pass have weights of their own."""
        return self.kept.setdefault(id(program), Weights(program.sources, self.options.seed, cache=True))

    def write(self, folder: Path) -> Written:
        """What the target writes, read back by the target itself."""
        compiled, target = self.compiled, self.target
        weights = self.weights(compiled.deployed if target.requirements.deploys else compiled.whole)
        written = target.write(compiled, weights, folder, self.options, {})
        (folder / WHOLE).write_text(
            print_program(compiled.reference, locations=True), encoding="utf-8"
        )  # as in a build
        target.check(compiled, weights, folder, self.options, written)
        return written


def suited(options: BuildOptions, target: Target) -> BuildOptions:
    """The options that a target takes; what it has not is left to it."""
    forms = target.forms
    kept: dict[str, Any] = {
        name: getattr(options, name) if getattr(options, name) in known else None for name, known in forms.items()
    }
    if "fp32" in forms["precision"]:
        kept["precision"] = "fp32"
    return replace(options, target=target.name, **kept).resolved(forms)


def by_reference(case: Case) -> Iterator[Row]:
    """The deployed steps over chunks against the whole functions, both in the IR."""
    subject = case.subject(exact=True)
    for name in case.compiled.deployed.functions:
        whole, steps = partial(subject.results, name), partial(subject.stepped, name)
        predicted = partial(subject.predicted, name)
        yield from ((name, row) for row in compare(subject.items(name), STEPS, whole, steps, predicted))


def by_target(case: Case, asked: Asked, folder: Path) -> Iterator[Row]:
    """What the target writes, read back and executed in fp32, against the IR: steps, then whole functions."""
    written = case.write(folder)
    subject, limit = case.subject(asked.exact), asked.limit
    engines: dict[Path, Engine] = {
        folder / name: case.target.engine(folder / name, "fp32", case.weights) for name in written.artifacts
    }
    for name, interface in written.interfaces.items():
        function = function_of(folder, name, interface)
        fresh = partial(_fresh, function, engines[function.package], function.tables())
        steps, run = partial(subject.stepped, name), partial(subject.over_chunks, name, fresh)
        predicted = partial(subject.predicted, name, deployed=subject.deployed)
        yield from ((name, row) for row in compare(subject.items(name), limit, steps, run, predicted))
    for name, interface in written.whole.items():
        uttered = whole_of(folder, name, interface)
        results, called = partial(subject.results, name), uttered.opened(engines[uttered.package])
        run, predicted = partial(subject.over_whole, name, called), partial(subject.predicted, name)
        items = subject.items(name, whole=True)
        yield from ((f"whole {name}", row) for row in compare(items, limit, results, run, predicted))


def _fresh(function: BuiltFunction, engine: Engine, tables: Arrays) -> Call:
    return stepping(Step(function, engine, tables))
