"""coremltools.models.MLModel for machines without Core ML: mctc's evaluator behind its interface; and a plan.

The model refuses what the documentation refuses: calls without the states that the function has, states of another
model, inputs that are unknown, missing or of another type, a name for the only function of a package but `main`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mctc.evaluate.coreml import Evaluator
from mctc.evaluate.coreml.evaluator import CompiledFunction
from mctc.ir.op import Array
from mctc.linter.coreml.export_plan import KIND, SCHEMA
from mctc.package.read import read_package
from tests.mac.core_ml import UNITS


@dataclass(frozen=True)
class State:
    """coremltools.models.model.MLState: arrays that are read and written by name."""

    function: CompiledFunction
    values: Any

    def read_state(self, name: str) -> Array:
        if name not in self.values:
            raise RuntimeError(f"there is no state {name}")
        return np.array(self.values[name], np.float32)

    def write_state(self, name: str, value: Array) -> None:
        if name not in self.values:
            raise RuntimeError(f"there is no state {name}")
        self.values[name] = value


class MLModel:
    """A function of a package. `factor` scales every result: 1 for a sound runtime."""

    def __init__(self, package: Path, units: str, function: str, factor: float = 1.0) -> None:
        if units not in UNITS:
            raise ValueError(f"there are no compute units {units}")
        evaluator = Evaluator(package, "fp16")
        if function not in evaluator.functions or (len(evaluator.functions) == 1 and function != "main"):
            raise ValueError(f"function_name {function} not found in the model.")
        self.function, self.factor = evaluator.function(function), factor

    def make_state(self) -> State:
        return State(self.function, self.function.make_state())

    def predict(self, data: dict[str, Array], state: State | None = None) -> dict[str, Array]:
        known = {each.name: each.type for each in self.function.inputs}
        if set(data) != set(known):
            raise ValueError(f"inputs are {sorted(data)}, expected {sorted(known)}")
        if wrong := [name for name, each in data.items() if each.dtype not in (np.float32, np.int32)]:
            raise TypeError(f"{wrong[0]} is neither float32 nor int32")
        if bool(self.function.states) != (state is not None):
            raise RuntimeError("the state of a stateful model is to be given, and that of no other")
        if state is not None and state.function is not self.function:
            raise RuntimeError("the state is of another model")
        results = self.function(data, None if state is None else state.values)
        return {name: np.asarray(each * self.factor, np.float32) for name, each in results.items()}


def plan(package: Path, units: str, device: str) -> dict[str, Any]:
    """What export_plan.export writes of a package, all of which is on one device: `ane`, `cpu` or `gpu`."""
    place = {"preferred": device, "supported": [device], "cost": None}
    functions = {
        name: [
            {"outputs": [each.name for each in operation.outputs], "type": f"ios18.{operation.type}", **place}
            for operation in function.operations
            if operation.type != "const"
        ]
        for name, function in read_package(package).functions.items()
    }
    machine = {"chip": "Apple M1", "system": "macOS 15.0", "coremltools": "9.0"}
    return {"kind": KIND, "schema": SCHEMA, "model": package.name, "units": units, **machine, "functions": functions}
