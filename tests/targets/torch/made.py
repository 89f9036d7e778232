"""A spec or program as a PyTorch module in memory, beside the program it was made from."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mctc.driver.compile import compile_program
from mctc.driver.compiled import Compiled
from mctc.driver.options import BuildOptions
from mctc.evaluate.reference import evaluate
from mctc.ir.op import Array
from mctc.ir.program import Program, Source
from mctc.ir.types import Role
from mctc.language import elaborate_file
from mctc.objectives.auxiliary import training_only
from mctc.targets.torch.target import FOLDER, TorchTarget
from mctc.weights import Weights

NUMBERS = itertools.count()


@dataclass
class Made:
    """A compiled program and the module emitted from it, with the same weights."""

    compiled: Compiled
    weights: Weights
    folder: Path
    package: str
    model: Any

    @property
    def whole(self) -> Program:
        return self.compiled.whole

    def reference(self, name: str, inputs: Mapping[str, Array]) -> list[Array]:
        """A component's results by the ops' reference semantics, in fp64."""
        program = self.whole
        values = lambda parameter: self.weights.exact(program.parameters[parameter])  # noqa: E731
        results, _ = evaluate(program.functions[name], inputs, values)
        return [results[result] for result, _ in program.functions[name].results]

    def inputs(self, name: str, seed: int = 0, **sizes: int) -> dict[str, Array]:
        """Random inputs of a component, for dimensions of these sizes."""
        rng, made = np.random.default_rng(seed), dict[str, Array]()
        for value in self.whole.functions[name].inputs:
            shape = value.type.substitute(sizes).shape
            bound = value.type.bound
            made[value.name] = rng.integers(0, bound.value, shape) if bound else rng.standard_normal(shape)
        return made

    def import_module(self, name: str) -> Any:
        """A module of the emitted package."""
        return importlib.import_module(f"{self.package}.{name}")


def make(program: Program, folder: Path, **options: Any) -> Made:
    """Compiles a program and imports what the target writes, under a name of its own."""
    settings = BuildOptions(target="torch", **options)
    compiled = compile_program(program, settings, requirements=TorchTarget.requirements)
    weights = Weights(compiled.whole.sources, seed=3, cache=True)
    TorchTarget().write(compiled, weights, folder, settings, {})
    package = f"emitted_{next(NUMBERS)}"
    (folder / FOLDER).rename(folder / package)
    sys.path.insert(0, str(folder))
    try:
        module = importlib.import_module(package)
    finally:
        sys.path.remove(str(folder))
    model = getattr(module, module.__all__[0])()
    model.load_state_dict(state_dict(compiled.whole, weights, model))
    return Made(compiled, weights, folder / package, package, model.eval())


def make_spec(spec: Path, folder: Path, **defines: Any) -> Made:
    return make(elaborate_file(spec, defines=defines), folder)


def state_dict(whole: Program, weights: Weights, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The program's weights under the module's names; the heads of auxiliary objectives as the module drew them."""
    values = {}
    heads = training_only(whole.train.settings)
    for name, tensor in model.state_dict().items():
        if name in heads:
            values[name] = tensor
            continue
        parameter = whole.parameters.get(name)
        if parameter is not None and parameter.type.shape == tuple(tensor.shape):
            array = weights.value(parameter)
        else:
            array = weights.source(Source(name, whole.sources[name][0]))
        values[name] = torch.from_numpy(np.array(array, np.float32))
    return values


def tensors(inputs: Mapping[str, Array]) -> list[torch.Tensor]:
    """Inputs as torch takes them: fp32, and token ids as int64."""
    kinds = {"f": np.float32, "i": np.int64}
    return [torch.from_numpy(np.ascontiguousarray(a.astype(kinds[a.dtype.kind]))) for a in inputs.values()]


def listed(results: torch.Tensor | tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    return list(results) if isinstance(results, tuple) else [results]


def error(actual: torch.Tensor, expected: Array) -> float:
    """The largest difference, of the largest magnitude; padding classes (-10000 and lower) compared apart."""
    a, b = actual.detach().double().numpy(), np.asarray(expected, np.float64)
    assert a.shape == b.shape
    real = b > -5000
    np.testing.assert_allclose(a[~real], b[~real], rtol=1e-4)
    return float(np.abs(a - b)[real].max() / max(np.abs(b[real]).max(), 1e-30))


def beside(function: Any, frames: int) -> list[torch.Tensor]:
    """Inputs behind the first one: masks of ones, as many as there are frames or strides of them."""
    whole = function.inputs[0].type.axes[-1].extent
    strides = [[a.extent for a in v.type.axes if a.role is Role.TIME] for v in function.inputs[1:]]
    counts = [-(-frames // (whole / extents[0]).value) if extents else 1 for extents in strides]
    shapes = [
        [count if a.role is Role.TIME else a.extent.value if a.extent.is_static else 1 for a in v.type.axes]
        for v, count in zip(function.inputs[1:], counts)
    ]
    return [torch.ones(shape) for shape in shapes]
