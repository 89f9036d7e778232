"""A small build of a spec with given weights, run by its torch module, its package and its steps in float64."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from mctc.driver import BuildOptions, build
from mctc.driver.manifest import PROGRAM, WHOLE
from mctc.evaluate.adapt import adapt
from mctc.evaluate.reference import evaluate
from mctc.initializers import initialise
from mctc.ir.op import Array
from mctc.ir.program import Function, Program
from mctc.ir.text import parse_program
from mctc.ir.types import TensorType
from mctc.language import elaborate_file
from mctc.numerics.difference import relative_error
from mctc.runtime.built import Built, open_built
from mctc.runtime.step import Packages, stepping
from mctc.streaming.derive import derive_program
from mctc.streaming.run import stream
from mctc.streaming.step_info import StepInfo
from mctc.weights import Weights

LIMIT = 1e-4  # of the largest magnitude of a result: others sum in another order, and in fp32 from end to end


def drawn(program: Program, seed: int = 0) -> dict[str, Array]:
    """Weights for every parameter, none of them 0 or 1 as initial ones are; fp16 holds them exactly."""
    rng = np.random.default_rng(seed)
    values = {name: initialise(name, type_, rule, seed) for name, (type_, rule) in program.sources.items()}
    noisy = {name: value + 0.1 * rng.normal(size=value.shape) for name, value in values.items()}
    return {name: value.astype(np.float16).astype(np.float32) for name, value in noisy.items()}


def largest_error(got: Array, want: Array) -> float:
    """The largest difference, of the largest magnitude wanted."""
    return relative_error(want, got)


def under(weights: Mapping[str, Array], prefix: str, **renamed: str) -> dict[str, Any]:
    """The torch tensors whose names begin with `prefix`, without it; `renamed` are other first parts of the rest."""
    import torch

    found: dict[str, Any] = {}
    for name, value in weights.items():
        if name.startswith(prefix):
            first, dot, rest = name.removeprefix(prefix).partition(".")
            found[renamed.get(first, first) + dot + rest] = torch.tensor(value)
    return found


def parameters(program: Program) -> int:
    """Trained numbers."""
    return sum(type_.size for type_, _ in program.sources.values())


@dataclass(frozen=True)
class Proof:
    """Arrays go in and come out with the axes that the spec gives them; results are by name."""

    natural: Program
    weights: Mapping[str, Array]
    checkpoint: Path
    built: Mapping[str, Built]  # by target

    @staticmethod
    def of(spec: Path, folder: Path, targets: Iterable[str] = ("ane", "torch"), **defines: Any) -> Proof:
        """Builds the spec at these values of its parameters, nothing quantised, with weights of `drawn`."""
        return Proof.holding(drawn(elaborate_file(spec, defines=defines)), spec, folder, targets, **defines)

    @staticmethod
    def holding(
        weights: Mapping[str, Array],
        spec: Path,
        folder: Path,
        targets: Iterable[str] = ("ane", "torch"),
        **defines: Any,
    ) -> Proof:
        """The same with these weights."""
        from safetensors.numpy import save_file

        natural, checkpoint = elaborate_file(spec, defines=defines), folder / "weights.safetensors"
        save_file({name: np.ascontiguousarray(value) for name, value in weights.items()}, checkpoint)
        built = {}
        for target in targets:
            options = BuildOptions(
                target=target, defines=defines, weights=checkpoint, without=("annotate-quantization",)
            )
            build(spec, folder / target, options)
            built[target] = open_built(folder / target)
        return Proof(natural, weights, checkpoint, built)

    @cached_property
    def program(self) -> Program:
        """Behind the common passes."""
        return self._program(WHOLE)

    def ops(self) -> set[str]:
        """Names of the ops between inputs and outputs of the package's functions."""
        return {op.name for function in self._deployed.functions.values() for op in function.ops}

    def by_torch(self, name: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The training module's forward over whole sequences."""
        called = Packages(self.built["torch"], load=self._load).whole(name)
        return self._natural(name, called(self._laid_out(name, inputs)))

    def by_package(self, name: str, inputs: Mapping[str, Array], function: str = "") -> dict[str, Array]:
        """The package evaluated in fp32, call by call over the whole sequences."""
        built, function = self.built["ane"], function or name
        step = Packages(built, "fp32", self._load).step(function)
        made = (self._deployed.functions[function], self._steps(built.lengths)[function])
        given = self._laid_out(name, inputs)
        return self._natural(name, stream(lambda _: made, given, repeat(made[1].chunk), stepping(step)))

    def with_mlx(self, spec: Path, folder: Path, **defines: Any) -> Proof:
        """The same with a build for MLX of the same weights besides."""
        options = BuildOptions(
            target="mlx", defines=defines, weights=self.checkpoint, without=("annotate-quantization",)
        )
        return replace(self, built={**self.built, "mlx": open_built(build(spec, folder, options).folder)})

    def by_mlx(self, name: str, inputs: Mapping[str, Array], function: str = "") -> dict[str, Array]:
        """MLX's modules over whole sequences or, with `function`, call by call."""
        built = self.built["mlx"]
        whole, deployed = (parse_program((built.folder / f).read_text(encoding="utf-8")) for f in (WHOLE, PROGRAM))
        natural, own = (_types(program.functions[name].inputs) for program in (self.natural, whole))
        given = {key: adapt(np.asarray(array), natural[key], own[key]) for key, array in inputs.items()}
        packages = Packages(built)
        if function:
            made = (deployed.functions[function], derive_program(whole, built.lengths)[1][function])
            made_of = stream(lambda _: made, given, repeat(made[1].chunk), stepping(packages.step(function)))
        else:
            made_of = packages.whole(name)(given)
        wanted, have = (dict(program.functions[name].results) for program in (self.natural, whole))
        return {key: adapt(np.asarray(array), have[key].type, wanted[key].type) for key, array in made_of.items()}

    def by_reference(self, name: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The whole function by the ops' reference semantics."""
        return self._natural(name, evaluate(self.program.functions[name], self._laid_out(name, inputs), self._value)[0])

    def by_chunks(
        self, name: str, inputs: Mapping[str, Array], chunks: Iterable[int], base: int = 1
    ) -> dict[str, Array]:
        """Derived steps by the ops' reference semantics: calls of these lengths in turn, the last one repeats.

        base: how many frames of the model's fastest dimension are one of the component's.
        """

        def step(chunk: int) -> tuple[Function, StepInfo]:
            program, infos = derive_program(self.program, base * chunk, {name})
            return program.functions[name], infos[name]

        def call(
            function: Function, given: Mapping[str, Array], state: Any
        ) -> tuple[dict[str, Array], dict[str, Array]]:
            return evaluate(function, given, self._value, state)

        return self._natural(name, stream(step, self._laid_out(name, inputs), chunks, call))

    def _steps(self, lengths: Any) -> dict[str, StepInfo]:
        return derive_program(self.program, lengths)[1]

    @cached_property
    def _deployed(self) -> Program:
        return self._program(PROGRAM)

    def _program(self, file: str) -> Program:
        return parse_program((self.built["ane"].folder / file).read_text(encoding="utf-8"))

    def _load(self, program: Program) -> Weights:
        return Weights.load(program, self.checkpoint, cache=True)

    def _value(self, name: str) -> Array:
        return self._load(self.program).exact(self.program.parameters[name])

    def _laid_out(self, name: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        old, new = (_types(program.functions[name].inputs) for program in (self.natural, self.program))
        return {key: adapt(np.asarray(array), old[key], new[key]) for key, array in inputs.items()}

    def _natural(self, name: str, results: Mapping[str, Array]) -> dict[str, Array]:
        """Without the entries that pad a vocabulary."""
        old, new = (dict(program.functions[name].results) for program in (self.natural, self.program))
        return {key: adapt(np.asarray(array), new[key].type, old[key].type) for key, array in results.items()}


def _types(values: Iterable[Any]) -> dict[str, TensorType]:
    return {value.name: value.type for value in values}
