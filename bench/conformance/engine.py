"""mctc's evaluator in the place of Core ML: what coremltools' `MLModel.predict` and `make_state` do here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from bench.conformance.case import Program
from mctc.evaluate.coreml import EvaluationError, Evaluator, State
from mctc.evaluate.coreml.evaluator import CompiledFunction
from mctc.evaluate.coreml.precision import Array, Precision
from mctc.package import Block, Function, NamedType, Package, TensorType, read_package
from mctc.package.dtypes import DTYPES


class Engine:
    """Evaluates the models it is asked about, and keeps what it evaluated.

    precision: of the evaluator.
    """

    def __init__(self, precision: Precision) -> None:
        self.precision = precision
        self._programs: list[Program] = []

    def take_programs(self) -> tuple[Program, ...]:
        """What was evaluated since this was last asked."""
        taken, self._programs = tuple(self._programs), []
        return taken

    def predict(self, model: Any, data: Mapping[str, Any], state: State | None = None) -> dict[str, Array]:
        """As MLModel.predict: numbers of any type are taken for an input, a scalar may come as one element.

        Raises RuntimeError, as Core ML does, for inputs that a program refuses. Neural networks are skipped.
        """
        function = self._function(model)
        inputs = {item.name: _fed(item, data[item.name]) for item in function.inputs if item.name in data}
        try:
            return function(inputs, state)
        except EvaluationError as error:
            if type(error) is EvaluationError:
                raise RuntimeError(f"Unable to compute the prediction using ML Program: {error}") from error
            raise

    def make_state(self, model: Any) -> State:
        """As MLModel.make_state."""
        return self._function(model, note=False).make_state()

    @staticmethod
    def holds_half(model: Any) -> bool:
        """Whether any value of the model is fp16."""
        package = _package(model)
        types = (item.type for function in package.functions.values() for item in _values(function))
        return any(isinstance(type_, TensorType) and type_.dtype == "fp16" for type_ in types)

    def _function(self, model: Any, *, note: bool = True) -> CompiledFunction:
        evaluator = Evaluator(_package(model), self.precision)
        if note:
            self._programs.append(_program(evaluator.package, model.function_name))
        return evaluator.function(model.function_name)


def _package(model: Any) -> Package:
    if model.package_path is None:
        pytest.skip("a neural network, not an ML program")
    return read_package(model.package_path)


def _values(function: Function) -> Iterator[NamedType]:
    yield from function.inputs
    blocks = [function.body]
    for block in blocks:
        for operation in block.operations:
            yield from operation.outputs
            blocks += operation.blocks


def _fed(item: NamedType, value: Any) -> Array:
    array = np.asarray(value)
    if isinstance(item.type, TensorType):
        array = array.astype(DTYPES[item.type.dtype].holder)
        if item.type.shape == ():
            array = array.reshape(())
    return array


def _program(package: Package, name: str | None) -> Program:
    function = package.functions[name or package.default_function]
    return Program(function.opset, tuple(sorted(set(_op_types(function.body)))))


def _op_types(block: Block) -> Iterator[str]:
    for operation in block.operations:
        yield operation.type
        for inner in operation.blocks:
            yield from _op_types(inner)
