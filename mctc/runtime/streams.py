"""Whole utterances for every component of a build, and what the step functions make of them chunk by chunk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from mctc.build.target import Load
from mctc.evaluate.reference import evaluate
from mctc.ir.op import Array
from mctc.ir.program import Function, Program
from mctc.ir.types import DType, Role, TensorType
from mctc.rewrite.adapt import adapt
from mctc.rewrite.validate import masks, symbol_sizes
from mctc.runtime.built import Built
from mctc.runtime.step import Packages
from mctc.streaming.derive import StepInfo, derive_program
from mctc.streaming.run import Call, stream

LABELS = 32  # tokens that a component over labels is fed
SEED = 7


@dataclass(frozen=True)
class Utterance:
    """Inputs of a component's whole function by name, and its results: the reference that every witness is held to."""

    inputs: Mapping[str, Array]
    results: Mapping[str, Array]


class Streams:
    """The whole program and the steps of a build, over the same utterances and with the parameters as deployed.

    mel: frames [frames, bins] for the component that hears; other inputs are random, the same every time.
    """

    def __init__(self, built: Built, whole: Program, deployed: Program, load: Load, mel: Array | None) -> None:
        self.built, self.whole, self.deployed, self.load, self.mel = built, whole, deployed, load, mel
        self._whole_weights, self._deployed_weights = load(whole), load(deployed)
        stepped = {str(entry["component"]) for entry in built.manifest["functions"].values()}
        self.infos = derive_program(whole, built.lengths, only=stepped)[1]
        self._utterances: dict[str, Utterance] = {}

    def utterance(self, name: str) -> Utterance:
        """The whole function that function `name` of the build is derived from, evaluated in float64. Computed once."""
        name = self.infos[name].component if name in self.infos else name
        if name not in self._utterances:
            function = self.whole.functions[name]
            inputs = self._inputs(function)
            parameters, weights = self.whole.parameters, self._whole_weights
            results, _ = evaluate(function, inputs, lambda key: weights.deployed(parameters[key]))
            self._utterances[name] = Utterance(inputs, self._real(name, results))
        return self._utterances[name]

    def by_reference(self, name: str) -> dict[str, Array]:
        """Results of the deployed step function over chunks, evaluated by the ops' reference semantics."""
        parameters, weights = self.deployed.parameters, self._deployed_weights

        def call(
            function: Function, inputs: Mapping[str, Array], state: Mapping[str, Array] | None
        ) -> tuple[dict[str, Array], dict[str, Array]]:
            return evaluate(function, inputs, lambda key: weights.deployed(parameters[key]), state)

        return self._streamed(name, call)

    def by_package(self, name: str, precision: str | None = None) -> dict[str, Array]:
        """Results of the package on disk over chunks, its state carried from call to call."""
        return self.by_build(name, Packages(self.built, precision, self.load), self.deployed)

    def by_build(self, name: str, packages: Packages, deployed: Program) -> dict[str, Array]:
        """The same of any build of the whole program; `deployed` are the steps that it was written from."""
        step = packages.step(name)
        return self._streamed(name, lambda _, inputs, __: (step(inputs), {}), deployed)

    def by_whole(self, name: str, packages: Packages) -> dict[str, Array]:
        """Results of a build's function over the whole utterance, in one call."""
        function, given = packages.built.whole[name], self.utterance(name).inputs
        called = packages.engine(function.package).function(function.stored_as)
        results = called({function.inputs[key]: array for key, array in given.items()})
        return self._real(name, {key: results[stored] for key, stored in function.outputs.items()})

    def _streamed(self, name: str, call: Call, deployed: Program | None = None) -> dict[str, Array]:
        step: tuple[Function, StepInfo] = ((deployed or self.deployed).functions[name], self.infos[name])
        return self._real(
            name, stream(lambda _: step, self.utterance(name).inputs, repeat(self.infos[name].chunk), call)
        )

    def _real(self, name: str, results: Mapping[str, Array]) -> dict[str, Array]:
        """Without the entries that pad a vocabulary: their -10000 would drown the logits in any measure of error."""
        real = dict(results)
        name = self.infos[name].component if name in self.infos else name
        types = {key: value.type for key, value in self.whole.functions[name].results}
        for entry in self.whole.vocabularies:
            axis = types[entry.result].find(Role.VOCABULARY) if entry.function == name else None
            if axis is not None:
                real[entry.result] = np.take(real[entry.result], range(entry.valid), axis=axis)
        return real

    def _inputs(self, function: Function) -> dict[str, Array]:
        rng = np.random.default_rng(SEED)
        sizes = self._sizes(function)
        hears = (self.built.manifest["audio"] or {}).get("function") == function.name
        arrays: dict[str, Array] = {}
        marks = masks(function)
        for value in function.inputs:
            type_ = value.type.substitute(sizes)
            if value.name in marks:
                arrays[value.name] = rng.integers(0, 2, type_.shape).astype(np.float64)
            elif hears and self.mel is not None and value.name == self.built.manifest["audio"]["input"]:
                arrays[value.name] = _laid_out(self.mel, type_)
            else:
                arrays[value.name] = _random(type_, rng)
        return arrays

    def _sizes(self, function: Function) -> dict[str, int]:
        """Frames of the base dimension along time; one label where a result has frames, else LABELS; a batch of one."""
        if function.name not in self.infos:  # it has no step
            return {**symbol_sizes(function), **dict.fromkeys(_batches(function), 1)}
        info, lengths = self.infos[function.name], self.built.lengths
        over_time = info.role is Role.TIME
        heard = len(self.mel) if self.mel is not None else 8 * lengths.chunk
        frames = heard - heard % lengths.chunk if over_time and info.streams else lengths.utterance or lengths.chunk
        labels = min(LABELS, self.whole.utterance.settings.get("labels", LABELS))
        extents = {Role.TIME: frames, Role.LABEL: 1 if over_time else labels}
        axes = [axis for value in function.inputs for axis in value.type.axes]
        return {symbol: extents.get(axis.role, 1) for axis in axes for symbol in axis.extent.symbols}


def _batches(function: Function) -> set[str]:
    axes = (axis for value in function.inputs for axis in value.type.axes if axis.role is Role.BATCH)
    return {symbol for axis in axes for symbol in axis.extent.symbols}


def _laid_out(mel: Array, type_: TensorType) -> Array:
    """Frames [frames, bins] as the whole function takes them, cut to its number of frames."""
    time = type_.find(Role.TIME)
    assert time is not None
    half = mel[: type_.shape[time]].astype(np.float16).astype(np.float64)
    half = np.pad(half, ((0, type_.shape[time] - len(half)), (0, 0)))  # silence behind a recording that is too short
    order = (Role.BATCH, Role.TIME)
    natural = sorted(
        (axis for axis in type_.axes if axis.role is not Role.UNIT), key=lambda axis: axis.role not in order
    )
    return adapt(half[None] if type_.find(Role.BATCH) is not None else half, type_.with_axes(natural), type_)


def _random(type_: TensorType, rng: np.random.Generator) -> Array:
    """Noise that fp16 holds exactly; ids below the bound."""
    if type_.dtype is DType.I32 or type_.bound is not None:
        return np.asarray(rng.integers(0, type_.bound.value if type_.bound else 8, type_.shape))
    return np.asarray(rng.normal(size=type_.shape).astype(np.float16).astype(np.float64))
