"""The ways to execute a program: each is built in a folder, run over an utterance, and held to the IR reference.

A witness is one row of WITNESSES: a target whose artifacts can be run, its steps over chunks and, where it writes
those, its functions over whole utterances. Two links hold each of them to the program: the deployed steps in the IR
equal the whole functions in the IR, and the artifact equals the deployed steps with the parameters that it stores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from mctc.build.compile import Compiled
from mctc.build.make import compile_for, target_named
from mctc.build.manifest import WHOLE
from mctc.build.options import BuildOptions
from mctc.build.target import Interface, Port, Target
from mctc.evaluate.reference import ParameterValue, evaluate
from mctc.ir.op import Array
from mctc.ir.ops.linear import looked_up
from mctc.ir.printer import print_program
from mctc.ir.program import Function, Program
from mctc.ir.types import DType, Role, TensorType
from mctc.plugins import registry
from mctc.rewrite.validate import relative_error
from mctc.streaming.run import stream
from mctc.weights import Weights

FP32 = 1e-4  # of the largest magnitude in a result
FP64 = 1e-7  # compressed parameters are float32
LABELS = 5
SEED = 11


@dataclass(frozen=True)
class Witness:
    """A target whose artifacts can be executed. needs: modules without which it is skipped.

    exact: whether it holds parameters that are not compressed as they are, not rounded to fp16.
    """

    name: str
    target: str
    needs: tuple[str, ...] = ()
    exact: bool = False
    tolerance: float = FP32

    @property
    def installed(self) -> bool:
        known = self.target in registry().names("targets") and all(find_spec(name) is not None for name in self.needs)
        return known and target_named(self.target).runtime is not None


WITNESSES = (
    Witness("package", "ane"),
    Witness("torch", "torch", ("torch",)),
    Witness("onnxruntime", "onnx", ("onnx", "onnxruntime")),
    Witness("coreai", "coreai", ("coreai",)),
)
STEP = "ir-step"  # the deployed step in the IR: every build that deploys has it


@dataclass
class Subject:
    """A program compiled for one target, its parameters as deployed, and utterances with their results."""

    target: Target
    options: BuildOptions
    compiled: Compiled
    kept: dict[int, Weights] = field(default_factory=dict)
    references: dict[Any, tuple[Mapping[str, Array], Mapping[str, Array]]] = field(default_factory=dict)

    @classmethod
    def compile(cls, target: str, program: Program, options: BuildOptions) -> Subject:
        """Raises MctcError."""
        found = target_named(target)
        options = suited(options, found)
        return cls(found, options, compile_for(found, program, options))

    def weights(self, program: Program) -> Weights:
        """Values of a program's parameters; programs before and after a pass have weights of their own."""
        return self.kept.setdefault(id(program), Weights(program.sources, self.options.seed, cache=True))

    def parameter(self, program: Program, exact: bool) -> ParameterValue:
        """Values of parameters by name: as they are deployed, or `exact` where they are not compressed.

        A deploy pass that folds what is computed from parameters rounds the result to fp16, not the parts.
        """
        weights = self.weights(program)

        def value(name: str) -> Array:
            found = program.parameters[name]
            return weights.exact(found) if exact and found.quantization is None else weights.deployed(found)

        return value

    def whole(self, name: str, exact: bool) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
        """Inputs of a component's whole function and its results, in float64. Computed once."""
        if (name, exact) not in self.references:
            program = self.compiled.whole
            inputs = utterance(program.functions[name], self.frames())
            results, _ = evaluate(program.functions[name], inputs, self.parameter(program, exact))
            self.references[name, exact] = inputs, self.real(name, results)
        return self.references[name, exact]

    def stepped(self, name: str, exact: bool) -> dict[str, Array]:
        """Results of the component's deployed step over chunks, by the ops' reference semantics in float64."""
        deployed = self.compiled.deployed
        parameter = self.parameter(deployed, exact)

        def call(
            function: Function, inputs: Mapping[str, Array], state: Mapping[str, Array] | None
        ) -> tuple[dict[str, Array], dict[str, Array]]:
            return evaluate(function, inputs, parameter, state)

        return self.over_chunks(name, call)

    def over_chunks(self, name: str, call: Any) -> dict[str, Array]:
        """Results of a step over the whole utterance, each call made by `call`."""
        info = self.compiled.steps[name]
        step = self.compiled.deployed.functions[name], info
        inputs, _ = self.whole(name, True)
        return self.real(name, stream(lambda _: step, inputs, repeat(info.chunk), call))

    def real(self, name: str, results: Mapping[str, Array]) -> dict[str, Array]:
        """Without the entries that pad a vocabulary."""
        real = dict(results)
        types = {key: value.type for key, value in self.compiled.whole.functions[name].results}
        for entry in self.compiled.whole.vocabularies:
            axis = types[entry.result].find(Role.VOCABULARY) if entry.function == name else None
            if axis is not None and entry.result in real:
                real[entry.result] = np.take(real[entry.result], range(entry.valid), axis=axis)
        return real

    def frames(self) -> int:
        """Frames of an utterance: two chunks, and a third that is not full."""
        extents = [
            extent for _, op in self.compiled.whole.ops() for value in op.results for extent in value.type.extents
        ]
        symbols = {symbol for extent in extents for symbol in extent.symbols}
        multiple = int(np.lcm.reduce([e.coefficient(s).denominator for e in extents for s in symbols] or [1]))
        return 2 * self.compiled.chunk + multiple


def suited(options: BuildOptions, target: Target) -> BuildOptions:
    """The options that a target takes; what it has not is left to it."""
    forms = target.forms
    kept: dict[str, Any] = {
        name: getattr(options, name) if getattr(options, name) in known else None for name, known in forms.items()
    }
    if "fp32" in forms["precision"]:
        kept["precision"] = "fp32"
    return replace(options, target=target.name, **kept).resolved(forms)


def utterance(function: Function, frames: int, batch: int = 1) -> dict[str, Array]:
    """Random inputs that fp16 holds; a component over time gets one label, one over labels LABELS of them."""
    over_time = any(value.type.find(Role.TIME) is not None for value in function.inputs)
    extents = {Role.TIME: frames, Role.LABEL: 1 if over_time else LABELS, Role.BATCH: batch}
    axes = [axis for value in function.inputs for axis in value.type.axes]
    sizes = {symbol: extents[axis.role] for axis in axes for symbol in axis.extent.symbols}
    rng = np.random.default_rng(SEED)
    return {value.name: _random(value.type.substitute(sizes), rng) for value in function.inputs}


def _random(type_: TensorType, rng: np.random.Generator) -> Array:
    if type_.dtype is DType.I32 or type_.bound is not None:
        return np.asarray(rng.integers(0, type_.bound.value if type_.bound else 8, type_.shape))
    return np.asarray(rng.normal(size=type_.shape).astype(np.float16).astype(np.float64))


def by_reference(subject: Subject) -> Iterator[tuple[str, float]]:
    """The deployed steps over chunks against the whole functions, both in the IR."""
    for name in subject.compiled.deployed.functions:
        _, expected = subject.whole(name, True)
        yield from _compared(name, expected, subject.stepped(name, True))


def by_target(subject: Subject, witness: Witness, folder: Path) -> Iterator[tuple[str, float]]:
    """What the target writes, read back and executed in fp32, against the IR: steps, then whole functions."""
    compiled, target, options = subject.compiled, subject.target, subject.options
    weights = subject.weights(compiled.deployed if target.wants.deploys else compiled.whole)
    written = target.write(compiled, weights, folder, options, {})
    (folder / WHOLE).write_text(print_program(compiled.whole, locations=True), encoding="utf-8")  # as in a build
    target.check(compiled, weights, folder, options, written)
    engines = {name: target.engine(folder / name, "fp32", subject.weights) for name in written.artifacts}
    for name, interface in written.interfaces.items():
        results = subject.over_chunks(name, Caller(engines[interface.artifact], interface, folder))
        yield from _compared(name, subject.stepped(name, witness.exact), results)
    for name, interface in written.whole.items():
        inputs, expected = subject.whole(name, witness.exact)
        results = Caller(engines[interface.artifact], interface, folder)(None, inputs, None)[0]
        yield from _compared(f"whole {name}", expected, subject.real(name, results))


def _compared(name: str, expected: Mapping[str, Array], results: Mapping[str, Array]) -> Iterator[tuple[str, float]]:
    yield from ((f"{name}.{key}", relative_error(expected[key], results[key])) for key in results)


class Caller:
    """A function of an artifact under the names of the program; states that are inputs and outputs are carried."""

    def __init__(self, engine: Any, interface: Interface, folder: Path) -> None:
        self.interface, self.function = interface, engine.function(interface.name)
        self.tables = {port.spec: np.load(folder / port.table) for port in interface.inputs if port.table is not None}
        states = {port.spec for port in interface.states}
        self.inputs = [port for port in interface.inputs if port.spec not in states]
        passed = len(interface.inputs) - len(self.inputs)
        self.outputs = interface.outputs[: len(interface.outputs) - passed]
        self.updates = interface.outputs[len(self.outputs) :]
        self.carried = (
            {port.name: np.zeros([int(n) for n in port.shape], np.float32) for port in interface.states}
            if passed
            else {}
        )
        self.state = self.function.make_state() if interface.states and not passed else None

    def __call__(self, _: Any, inputs: Mapping[str, Array], __: Any) -> tuple[dict[str, Array], dict[str, Array]]:
        given = {port.name: self._given(port, inputs[port.spec]) for port in self.inputs}
        results = self.function(self.carried | given, self.state)
        self.carried = {s.name: results[update.name] for s, update in zip(self.interface.states, self.updates)}
        return {port.spec: np.asarray(results[port.name], np.float64) for port in self.outputs}, {}

    def _given(self, port: Port, array: Array) -> Array:
        table = self.tables.get(port.spec)
        return array if table is None else looked_up(table, array, port.roles.index(Role.CHANNEL.value))
