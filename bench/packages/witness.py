"""Runs a package a second time: read by coremltools, computed by torch in double precision, and compared.

    python -m bench.packages.witness PACKAGE FOLDER

FOLDER holds what bench.packages.execute has written: inputs and outputs. Prints, a JSON object a line, the largest
difference over the largest magnitude of each output, or why there is none.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from coremltools import proto
from coremltools.converters.mil.frontend.milproto.load import load

from bench.packages.ops import OPS, tensor
from mctc.package.manifest import find_model

Values = dict[str, Any]


def models(path: Path) -> Iterator[tuple[str, Any, Path]]:
    """Name in the pipeline, message and folder of the weights of every program in a package or specification."""
    file = find_model(path) if path.is_dir() else path
    model = proto.Model_pb2.Model()
    model.ParseFromString(file.read_bytes())
    yield from _programs(model, "", file.parent / "weights")


def _programs(model: Any, name: str, weights: Path) -> Iterator[tuple[str, Any, Path]]:
    kind = model.WhichOneof("Type")
    if kind == "mlProgram":
        yield name, model, weights
    content = getattr(model, kind)
    pipeline = getattr(content, "pipeline", content) if kind.startswith("pipeline") else None
    for place, member in enumerate(pipeline.models if pipeline is not None else ()):
        names = pipeline.names if pipeline is not None else ()
        yield from _programs(member, names[place] if place < len(names) else f"model{place}", weights)


def run(block: Any, values: Values) -> list[Any]:
    """The outputs of a block, given what it takes in."""
    for operation in block.operations:
        results = compute(operation, values)
        for output, result in zip(operation.outputs, results, strict=False):
            values[output.name] = result
    return [value_of(output, values) for output in block.outputs]


def value_of(var: Any, values: Values) -> Any:
    if isinstance(var, (tuple, list)):
        return [value_of(each, values) for each in var]
    constant = var.val
    return values.get(var.name, getattr(constant, "ls", constant))  # a list of coremltools' holds one of Python's


def compute(operation: Any, values: Values) -> tuple[Any, ...]:
    kind = operation.op_type
    if kind == "const":
        return (operation.val.val,)
    if kind.startswith("constexpr_"):
        return (operation.materialized_val_inference(),)
    given = {key: value_of(var, values) for key, var in operation.inputs.items() if var is not None}
    given = {key: value for key, value in given.items() if value is not None}
    if kind == "while_loop":
        return loop(operation, given["loop_vars"], values)
    found = OPS[kind](**given)
    return found if isinstance(found, tuple) else (found,)


def loop(operation: Any, carried: list[Any], values: Values) -> tuple[Any, ...]:
    condition, body = operation.blocks
    while True:
        inside = {**values, **{var.name: value for var, value in zip(condition.inputs, carried, strict=True)}}
        if not bool(run(condition, inside)[0]):
            return tuple(carried)
        inside = {**values, **{var.name: value for var, value in zip(body.inputs, carried, strict=True)}}
        carried = run(body, inside)


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, float]:
    """Largest difference over largest magnitude, by output; infinite where shapes or places of NaN differ."""
    result = {}
    for name, held in found.items():
        if name not in wanted or not isinstance(wanted[name], torch.Tensor):
            continue
        one, other = tensor(wanted[name]).numpy().astype(np.float64), held.astype(np.float64)
        if one.size != other.size or not np.array_equal(np.isfinite(one).ravel(), np.isfinite(other).ravel()):
            result[name] = float("inf")
            continue
        gap = np.abs(one.ravel() - other.ravel())[np.isfinite(other).ravel()]
        scale = np.abs(other[np.isfinite(other)]).max(initial=0.0)
        result[name] = float(gap.max(initial=0.0) / scale) if scale else float(gap.max(initial=0.0))
    return result


def compare(path: Path, folder: Path) -> Iterator[dict[str, Any]]:
    for member, model, weights in models(path):
        program = load(model, model.specificationVersion, str(weights))
        for name, function in program.functions.items():
            for file in sorted(folder.glob(f"{member}-{name}-*.npz")):
                with np.load(file) as kept:
                    arrays = dict(kept)
                entry = {"member": member, "function": name, "feed": file.stem.rpartition("-")[2]}
                inputs = {key[3:]: tensor(value) for key, value in arrays.items() if key.startswith("in:")}
                outputs = {key[4:]: value for key, value in arrays.items() if key.startswith("out:")}
                try:
                    results = run(function, dict(inputs))
                except NotImplementedError as error:
                    yield {**entry, "left": str(error)}
                    continue
                names = [output.name for output in function.outputs]
                yield {**entry, "differences": differences(dict(zip(names, results, strict=True)), outputs)}


def main(arguments: list[str]) -> None:
    torch.set_num_threads(1)
    with torch.inference_mode():
        for entry in compare(Path(arguments[0]), Path(arguments[1])):
            print(json.dumps(entry), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
