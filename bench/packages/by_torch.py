"""Runs a package a second time: read by coremltools, computed by torch in double precision, and compared.

    python -m bench.packages.by_torch PACKAGE FOLDER

FOLDER holds what bench.packages.execute has written: inputs and outputs. Prints, a JSON object a line, the largest
difference over the largest magnitude of each output, or why there is none. Where that is more than ROUNDING, also what
rounding makes of it: how far the outputs move when every value on the way moves by a unit in the last place of fp32. A
program may magnify that, such as a norm of equal values.
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

from bench.packages.inputs import SEED
from bench.packages.ops import OPS, tensor
from mctc.package.manifest import find_model

ROUNDING = 1e-4
"""Largest difference over largest magnitude of two computations of one program, in fp32 and in fp64."""
UNIT = 2.0**-23
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


class Run:
    """One computation. jitter: moves every float that an op makes by a unit in the last place of fp32, up or down."""

    def __init__(self, jitter: torch.Generator | None = None) -> None:
        self.jitter = jitter

    def block(self, block: Any, values: Values) -> list[Any]:
        """The outputs of a block, given what it takes in."""
        for operation in block.operations:
            results = self.operation(operation, values)
            for output, result in zip(operation.outputs, results, strict=False):
                values[output.name] = self.moved(result) if operation.op_type != "const" else result
        return [value_of(output, values) for output in block.outputs]

    def moved(self, value: Any) -> Any:
        if self.jitter is None or not isinstance(value, torch.Tensor) or not value.is_floating_point():
            return value
        signs = torch.randint(0, 2, value.shape, generator=self.jitter) * 2 - 1
        return value * (1 + signs * UNIT)

    def operation(self, operation: Any, values: Values) -> tuple[Any, ...]:
        kind = operation.op_type
        if kind == "const":
            held = operation.val.val
            return (getattr(held, "ls", held),)  # a list of coremltools' holds one of Python's
        if kind.startswith("constexpr_"):
            return (operation.materialized_val_inference(),)
        given = {key: value_of(var, values) for key, var in operation.inputs.items() if var is not None}
        given = {key: value for key, value in given.items() if value is not None}
        if kind == "while_loop":
            return self.loop(operation, given["loop_vars"], values)
        if kind not in OPS:
            raise NotImplementedError(f"{kind} is not among the ops of bench/packages/ops.py")
        found = OPS[kind](**given)
        return found if isinstance(found, tuple) else (found,)

    def loop(self, operation: Any, carried: list[Any], values: Values) -> tuple[Any, ...]:
        condition, body = operation.blocks
        while True:
            inside = {**values, **{var.name: value for var, value in zip(condition.inputs, carried, strict=True)}}
            if not bool(self.block(condition, inside)[0]):
                return tuple(carried)
            inside = {**values, **{var.name: value for var, value in zip(body.inputs, carried, strict=True)}}
            carried = self.block(body, inside)


def value_of(var: Any, values: Values) -> Any:
    if isinstance(var, (tuple, list)):
        return [value_of(each, values) for each in var]
    constant = var.val
    return values.get(var.name, getattr(constant, "ls", constant))  # a list of coremltools' holds one of Python's


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
        if not np.isfinite(other).any():  # noise where the program takes a logarithm: nothing is compared
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
                outputs = {key[4:]: value for key, value in arrays.items() if key.startswith("out:")}
                try:
                    exact = computed(function, arrays, Run())
                except NotImplementedError as error:
                    yield {**entry, "left": str(error)}
                    continue
                found = differences(exact, outputs)
                if max(found.values(), default=0.0) > ROUNDING:
                    jittered = Run(torch.Generator().manual_seed(SEED))
                    entry["rounding"] = differences(computed(function, arrays, jittered), _arrays(exact))
                yield {**entry, "differences": found}


def computed(function: Any, arrays: Values, way: Run) -> Values:
    """The outputs by name."""
    inputs = {key[3:]: tensor(value) for key, value in arrays.items() if key.startswith("in:")}
    names = [output.name for output in function.outputs]
    return dict(zip(names, way.block(function, inputs), strict=True))


def _arrays(values: Values) -> Values:
    return {name: value.numpy() for name, value in values.items() if isinstance(value, torch.Tensor)}


def main(arguments: list[str]) -> None:
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    with torch.inference_mode():
        for entry in compare(Path(arguments[0]), Path(arguments[1])):
            print(json.dumps(entry), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
