"""Functions of the IR written as models, checked by onnx, executed by onnxruntime, beside the IR's own results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from mctc.driver.names import STATE_OUT, identifier
from mctc.evaluate.reference import evaluate
from mctc.ir.op import Array
from mctc.ir.program import Function, Initializer, Parameter, Program, Quantization, Source
from mctc.ir.text import parse_program
from mctc.targets.onnx.model import emit_model
from mctc.targets.onnx.readback import check_file
from mctc.targets.onnx.session import OnnxModel
from mctc.weights import Weights


def program_of(text: str, quantization: Quantization | None = None) -> Program:
    """A program of IR text, with a parameter of normal values for every one that it names."""
    program = parse_program(text)
    types = {op.attributes["name"]: op.result.type for _, op in program.ops() if op.name == "parameter"}
    normal = Initializer("normal", (("std", 0.5),))
    sources = {name: (type_, normal) for name, type_ in types.items()}
    parameters = {name: Parameter(name, type_, Source(name, type_), quantization) for name, type_ in types.items()}
    return replace(program, sources=sources, parameters=parameters)


def model_of(program: Program, function: Function, folder: Path, weights: Weights | None = None) -> Path:
    """The function's model on disk."""
    path = folder / f"{len(list(folder.iterdir()))}.onnx"
    path.write_bytes(emit_model(program, function, weights or Weights(program.sources))[0])
    return path


def assert_executes(
    program: Program,
    folder: Path,
    inputs: Mapping[str, Array],
    states: Mapping[str, Array] | None = None,
    weights: Weights | None = None,
    tolerance: float = 1e-5,
) -> None:
    """That onnx accepts the program's one function, and onnxruntime computes what the IR says it does."""
    (function,) = program.functions.values()
    values = weights or Weights(program.sources)
    path = model_of(program, function, folder, values)
    check_file(path)
    results, updates = evaluate(function, inputs, lambda name: values.deployed(program.parameters[name]), states)
    given = {identifier(name): array for name, array in {**inputs, **(states or {})}.items()}
    actual = OnnxModel(path).function()(given)
    expected = {identifier(name): array for name, array in results.items()}
    expected |= {identifier(name) + STATE_OUT: array for name, array in updates.items()}
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        assert actual[name].shape == array.shape, name
        scale = max(1.0, float(np.abs(array).max(initial=0)))
        np.testing.assert_allclose(actual[name], array, rtol=0, atol=tolerance * scale, err_msg=name)
