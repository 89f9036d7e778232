"""Runs the functions of a Core ML package."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mctc.evaluate.coreml.comparing import COMPARING
from mctc.evaluate.coreml.errors import EvaluationError
from mctc.evaluate.coreml.plan import Options, compile_function
from mctc.evaluate.coreml.precision import Array, Precision, hold
from mctc.evaluate.coreml.state import State
from mctc.evaluate.coreml.steps import Frame, Observer, run_steps
from mctc.evaluate.engine.arithmetic import Arithmetic, arithmetic
from mctc.package.dtypes import DTYPES
from mctc.package.model import Constant, Feature, Function, Operation, Package
from mctc.package.read import read_package
from mctc.package.types import NamedType, StateType, TensorType

if TYPE_CHECKING:
    from mctc.evaluate.coreml.pieces import Pieces
    from mctc.evaluate.engine.engine import Engine, Placed
    from mctc.evaluate.engine.tally import Tally
    from mctc.evaluate.faults.compare import Twin
    from mctc.evaluate.faults.fault import Fault
    from mctc.evaluate.faults.table import Injected


class Evaluator:
    """Executes an ML program in numpy.

    package: a package as read, or the path of one.
    precision: "fp16" computes every op in float32 and rounds what the program declares fp16; "fp32" never rounds;
        "engine", "engine:h16", "engine:h18:low", ... computes as the Neural Engine does (docs/engine-arithmetic.md);
        "fp16+softplus-cliff" with a known miscompile (docs/faults.md).
    placed: for every function the indices of the operations that run on the engine, the others being in fp16; None for
        all.
    keep_weights: whether constants are read and decompressed once and held as float32. When false, large ones are
        read at each use: slower, in the memory of one layer.
    check_types: compare every value with its declared type; TypeMismatch names the operation.
    observe: called after each operation with its results (cost models, debugging); the arrays must not be changed.
        Operations over constants alone are done once, while compiling, and aren't observed.
    """

    def __init__(
        self,
        package: Package | str | os.PathLike[str],
        precision: Precision | str = "fp16",
        *,
        placed: Placed | None = None,
        keep_weights: bool = True,
        check_types: bool = True,
        observe: Observer | None = None,
    ) -> None:
        self.arithmetic = arithmetic(precision)
        self.package = package if isinstance(package, Package) else read_package(package)
        self.observe = observe
        self._engine = _engine(self.arithmetic, placed)
        self._options = Options(
            self.arithmetic.stored, keep_weights, check_types, self._engine, _faults(self.arithmetic.faults)
        )
        self._compiled: dict[str, CompiledFunction] = {}

    @property
    def functions(self) -> tuple[str, ...]:
        """Names of the package's functions."""
        return tuple(self.package.functions)

    def on_engine(self, function: str, operation: Operation) -> bool:
        """Whether an operation of a function runs on the engine."""
        return self._engine is not None and self._engine.takes(function, operation)

    def count(self) -> Mapping[tuple[str, int], Tally]:
        """From now on what sums on the engine come to is counted, by function and index of the operation. To be asked
        for before the functions are."""
        assert self._engine is not None
        self._engine.tallies = {}
        return self._engine.tallies

    def function(self, name: str | None = None) -> CompiledFunction:
        """The function, compiled at its first use; the package's default function without a name.

        Raises UnsupportedOp, TypeMismatch, EvaluationError or PackageError.
        """
        wanted = name or self.package.default_function
        if wanted not in self.package.functions:
            from difflib import get_close_matches

            near = get_close_matches(wanted, self.functions, 1)
            raise EvaluationError(
                f"{self.package.path}: there is no function '{wanted}'; there are: {', '.join(self.functions)}",
                hint=f"did you mean '{near[0]}'?" if near else None,
            )
        if wanted not in self._compiled:
            function = self.package.functions[wanted]
            described = self.package.descriptions.get(wanted)
            features = () if described is None else described.inputs
            self._compiled[wanted] = compiled = CompiledFunction(function, self._options, self.observe, features)
            comparison = COMPARING.get()
            if comparison is not None and not self._options.faults:
                compiled.twins = comparison.twins(self, function)
        return self._compiled[wanted]

    def pieces(self, name: str) -> Pieces:
        """A function in parts, in the arithmetic of the whole."""
        from mctc.evaluate.coreml.pieces import Pieces

        return Pieces(self.package.functions[name], lambda part: CompiledFunction(part, self._options).held)

    def with_faults(self, faults: Sequence[Fault]) -> Evaluator:
        """The same with faults; nobody watches its operations."""
        from mctc.evaluate.faults.table import Injected

        twin = copy(self)
        twin.observe, twin._compiled = None, {}
        twin._options = replace(self._options, faults=Injected(faults))
        return twin


def _faults(names: Sequence[str]) -> Injected | None:
    if not names:
        return None
    from mctc.evaluate.faults.table import FAULTS, Injected

    return Injected([FAULTS[name] for name in names])


def _engine(asked: Arithmetic, placed: Placed | None) -> Engine | None:
    if asked.kind != "engine":
        return None
    from mctc.evaluate.engine.engine import Engine

    return Engine(asked, placed)


class CompiledFunction:
    """A function ready to run. `inputs`, `outputs` and `states` are as the program declares them.

    `labels` are the classes of a classifier by the name of the output that has their probabilities, in that order.
    """

    def __init__(
        self,
        function: Function,
        options: Options,
        observe: Observer | None = None,
        features: Sequence[Feature] = (),
    ) -> None:
        """features: what the model description says of inputs: the shapes that it allows, and what fills one that is
        left out."""
        self.name = function.name
        self.inputs = function.inputs
        self.outputs = function.outputs
        self.states = function.states
        self.observe = observe
        self._precision = options.precision
        self._plan = compile_function(function, options)
        self.labels = _labels(function)
        self._features = {feature.name: feature for feature in features}
        self.twins: Sequence[Twin] = ()

    def make_state(self) -> State:
        """A state of zeros; empty when the function has none."""
        types = {item.name: item.type.wrapped for item in self.states if isinstance(item.type, StateType)}
        return State(types, self._precision)

    def __call__(self, inputs: Mapping[str, Array], state: State | None = None) -> dict[str, Array]:
        """Runs the function once.

        inputs: an array per input, of the declared shape; floats of any width, integers that fit the declared type. One
        that the model description calls optional may be left out: its default fills its default shape.
        state: from make_state() or an earlier call, updated in place; needed when the function has states.
        Returns the outputs by name: fp16 outputs as float16 in fp16 precision, else float32; others as declared.
        Raises EvaluationError naming the input, or the operation that failed.
        """
        if self.states and state is None:
            raise EvaluationError(f"function '{self.name}' has states; pass state=fn.make_state()")
        if state is not None:
            self._check_state(state)
        begun = [twin.begin(state) for twin in self.twins]
        results = self._run(inputs, state)
        for twin, started in zip(self.twins, begun, strict=True):
            twin.compare(inputs, started, state, results)
        return results

    def _run(self, inputs: Mapping[str, Array], state: State | None) -> dict[str, Array]:
        with np.errstate(all="ignore"):
            held = self.held(inputs, state)
            return {item.name: self._released(item, value) for item, value in zip(self.outputs, held, strict=True)}

    def held(self, inputs: Mapping[str, Array], state: State | None = None) -> list[Array]:
        """Outputs in order, as the evaluator holds them, in no array of their own: for who only reads them at once."""
        values = self._plan.template.copy()
        for name, array in self._checked(inputs).items():
            values[self._plan.inputs[name]] = array
        frame = Frame(values, state, self.observe)
        with np.errstate(all="ignore"):
            run_steps(self._plan.steps, frame)
        return [frame.values[slot] for _, slot in self._plan.outputs]

    def _check_state(self, state: State) -> None:
        for item in self.states:
            assert isinstance(item.type, StateType)
            if item.name not in state or state[item.name].shape != item.type.wrapped.shape:
                raise EvaluationError(
                    f"function '{self.name}' needs the state {item}; this state is of another function"
                )

    def _checked(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        names = [item.name for item in self.inputs]
        defaults = {name: array for name in names if name not in inputs and (array := self._default(name)) is not None}
        inputs = {**inputs, **defaults}
        unknown = [str(name) for name in inputs if name not in names]
        missing = [name for name in names if name not in inputs]
        if unknown or missing:
            parts = [f"missing: {', '.join(missing)}"] if missing else []
            parts += [f"unknown: {', '.join(unknown)}"] if unknown else []
            raise EvaluationError(f"function '{self.name}' takes {', '.join(names) or 'no inputs'}; {'; '.join(parts)}")
        return {item.name: self._held(item, inputs[item.name]) for item in self.inputs}

    def _default(self, name: str) -> Array | None:
        """What an input is that is left out; None for one that has to be passed."""
        feature = self._features.get(name)
        if feature is None or not feature.optional or feature.default is None or feature.type is None:
            return None
        return np.full([extent or 0 for extent in feature.type.shape or ()], feature.default)

    def _held(self, item: NamedType, value: Array) -> Array:
        where = f"function '{self.name}', input {item}"
        if not isinstance(item.type, TensorType) or item.type.dtype == "string" or item.type.dtype not in DTYPES:
            raise EvaluationError(f"{where}: only tensors of a known element type can be passed in")
        array, shape = np.asarray(value), item.type.shape
        if shape is not None and (
            array.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True))
        ):
            raise EvaluationError(f"{where}: an array of shape {list(array.shape)} was passed")
        refusal = self._features[item.name].refusal(array.shape) if item.name in self._features else None
        if refusal is not None:
            raise EvaluationError(f"{where}: an array of shape {list(array.shape)} was passed, {refusal}")
        holder = DTYPES[item.type.dtype].holder
        if holder.kind == "f" and array.dtype.kind in "fiub":
            return hold(array, item.type.dtype, self._precision)
        if holder.kind != "f" and array.dtype.kind in "iub":
            if array.size and holder.kind in "iu":
                limits = np.iinfo(holder)
                if int(array.min()) < limits.min or int(array.max()) > limits.max:
                    raise EvaluationError(f"{where}: values up to {array.max()} don't fit")
            return array.astype(holder)
        raise EvaluationError(f"{where}: an array of {array.dtype} was passed")

    def _released(self, item: NamedType, value: Array) -> Array:
        if isinstance(item.type, TensorType) and isinstance(value, np.ndarray):
            half = item.type.dtype == "fp16" and self._precision == "fp16"
            return np.array(value, np.float16 if half else None)
        return value


def _labels(function: Function) -> dict[str, tuple[str, ...]]:
    """The labels of every classify op, as text. Raises PackageError for ones that can't be read."""
    constants = {
        result.name: operation.attributes["val"]
        for operation in function.operations
        if operation.type == "const" and "val" in operation.attributes
        for result in operation.outputs
    }
    found = {}
    for operation in function.operations:
        classes = operation.inputs.get("classes", ())
        if operation.type == "classify" and len(operation.outputs) > 1 and classes:
            held = classes[0] if isinstance(classes[0], Constant) else constants.get(classes[0].name)
            if held is not None:
                found[operation.outputs[1].name] = tuple(map(str, held.value()))
    return found
