"""Packages executed by Core ML, through coremltools' documented interface, and compared with mctc's evaluator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mctc.driver.make import BuildResult
from mctc.evaluate.coreml import Evaluator
from mctc.ir.op import Array
from mctc.ir.program import Function
from mctc.numerics.battery import CONSTANT, NOISE, SILENCE, draw
from mctc.numerics.difference import Difference, Scale, difference
from mctc.numerics.sizes import symbol_sizes
from mctc.package.model import Function as Program
from mctc.package.read import read_package
from mctc.package.types import NamedType, StateType
from mctc.runtime.built import open_built
from mctc.runtime.step import Step

CALLS = (NOISE, NOISE, CONSTANT, SILENCE)
"""One after another on the same states, which begin as zeros."""
UNITS = ("CPU_ONLY", "CPU_AND_GPU", "CPU_AND_NE", "ALL")
"""Members of coremltools.ComputeUnit."""


class Model(Protocol):
    """coremltools.models.MLModel, as far as it is used here."""

    def make_state(self) -> Any: ...

    def predict(self, data: dict[str, Array], state: Any = None) -> dict[str, Array]: ...


Load = Callable[[Path, str, str], Model]
"""Opens a package for compute units and a function. The function of a package that has no other goes by `main`."""


def load(package: Path, units: str, function: str) -> Model:
    """The function in Core ML: on a Mac alone."""
    import coremltools

    chosen = coremltools.ComputeUnit[units]
    model: Model = coremltools.models.MLModel(str(package), compute_units=chosen, function_name=function)
    return model


@dataclass
class States(MutableMapping[str, Array]):
    """Core ML's states of one function by name: a view of the MLState `held`, which every call is given."""

    held: Any
    names: tuple[str, ...]

    def __getitem__(self, name: str) -> Array:
        return np.asarray(self.held.read_state(name))

    def __setitem__(self, name: str, array: Array) -> None:
        self.held.write_state(name, np.asarray(array, np.float32))

    def __delitem__(self, name: str) -> None:
        raise TypeError("a state of Core ML can't be taken away")

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class CoreMlFunction:
    """A function of a package, called as mctc calls any engine's (mctc.driver.engine.Executable)."""

    name: str
    program: Program
    model: Model

    @property
    def inputs(self) -> tuple[NamedType, ...]:
        return tuple(each for each in self.program.inputs if not isinstance(each.type, StateType))

    @property
    def states(self) -> tuple[NamedType, ...]:
        return tuple(self.program.states)

    def make_state(self) -> States:
        return States(self.model.make_state(), tuple(each.name for each in self.states))

    def __call__(self, inputs: Mapping[str, Array], state: States | None = None) -> dict[str, Array]:
        integers = (np.dtype(np.int32), np.dtype(np.float32))
        data = {name: np.asarray(each, integers[np.asarray(each).dtype.kind == "f"]) for name, each in inputs.items()}
        return self.model.predict(data) if state is None else self.model.predict(data, state.held)


@dataclass(frozen=True)
class CoreMlEngine:
    """A package on some compute units (mctc.driver.engine.Engine)."""

    package: Path
    units: str
    load: Load = load

    def function(self, name: str | None = None) -> CoreMlFunction:
        package = read_package(self.package)
        wanted = name or package.default_function
        return CoreMlFunction(wanted, package.functions[wanted], self.load(self.package, self.units, wanted))


def differences(made: BuildResult, units: str, load: Load = load) -> dict[str, Difference]:
    """How far Core ML is from the evaluator in fp32: the worst of all calls, by function and result or state."""
    worst: dict[str, Difference] = {}
    for name, function in open_built(made.folder).functions.items():
        tables = function.tables()
        expected = Step(function, Evaluator(function.package, "fp32"), tables)
        actual = Step(function, CoreMlEngine(function.package, units, load), tables)
        for key, found in _compared(made.compiled.deployed.functions[name], expected, actual):
            before = worst.setdefault(f"{name}.{key}", found)
            worst[f"{name}.{key}"] = min(before, found, key=lambda each: each.decibels)
    return worst


def _compared(function: Function, expected: Step, actual: Step) -> Iterator[tuple[str, Difference]]:
    scales: dict[str, Scale] = {}
    for number, item in enumerate(CALLS):
        inputs = draw(function, symbol_sizes(function), item, seed=number)
        wanted, found = (step(inputs) | step.states() for step in (expected, actual))
        for key, array in wanted.items():
            yield key, difference(array, found[key], scales.setdefault(key, Scale.of(array)))
