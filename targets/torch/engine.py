"""Runs the modules of a training package as they lie in a build, with the weights as packages store them."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, MutableMapping
from copy import deepcopy
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np

from mctc.diagnostics.near import listing
from mctc.driver.engine import RuntimeMissingError
from mctc.driver.manifest import WHOLE
from mctc.driver.reading import AGAIN, read_program
from mctc.driver.target import Load
from mctc.emit.imported import imported
from mctc.evaluate.reference import bind
from mctc.ir.op import Array
from mctc.ir.program import Function, Program, Source
from mctc.ir.recipes import leaves
from mctc.ir.types import Role
from mctc.objectives.auxiliary import training_only
from mctc.records import dataclass
from mctc.streaming.context import VALID
from mctc.targets.torch.errors import EmitError
from mctc.targets.torch.parameters import Parameters
from mctc.targets.torch.reserved import FORWARD
from mctc.weights import Weights

STATE, LENGTHS = "state", "lengths"
QUANTIZERS = "FakeQuantizer", "InputQuantizer"  # of the runtime that lies beside the module


@dataclass(frozen=True)
class Argument:
    """An input of a component, by name."""

    name: str


class TorchEngine:
    """The model of a build's training package. Raises RuntimeMissingError without torch, EmitError for a module that
    can't be imported."""

    def __init__(self, artifact: Path, load: Load) -> None:
        self.model = import_model(artifact)
        self.whole = read_program(artifact.parent.parent / WHOLE)
        values = _state_dict(self.whole, load(self.whole), self.model)
        self.model.load_state_dict(values)
        self._both = _ReadBoth({name: values[name] for name in _read_both(self.whole)}, self.model)
        for module in self.model.modules():
            kind = type(module).__name__
            if kind in QUANTIZERS:
                module.mode = "on"
            if kind == QUANTIZERS[0]:
                module.forward = _once(module.forward)

    def function(self, name: str | None = None) -> TorchFunction:
        """A component by the name of its class: its step, or its forward where it has no state or that is named."""
        wanted = (name or "").removesuffix(FORWARD)
        components = {type(child).__name__: key for key, child in self.model.named_children()}
        if wanted not in components:
            raise EmitError(f"there is no component class {wanted!r}; there are {listing(components)}")
        key = components[wanted]
        component = getattr(self.model, key)
        call = component.step if hasattr(component, "step") and name == wanted else component.forward
        held, own = Parameters(self.whole).tensors, dict(self.model.named_parameters(recurse=False))
        shared = {n: own[n] if held[n].quantization is None else self.model.stored(n) for n in own}
        return TorchFunction(name or wanted, component, self._both.around(call), shared, self.whole.functions[key])


@dataclass(frozen=True)
class _ReadBoth:
    """Parameters that the package stores in codes for one op and as fp16 numbers for another: a quantiser is given what
    the checkpoint holds, once, and every other op what fp16 holds of it."""

    exact: Mapping[str, Any]
    model: Any

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """A component's method. One call more, whose results nobody sees, is for its quantisers: they keep theirs."""
        if not self.exact:
            return call
        begun: list[bool] = []

        @wraps(call)
        def called(*given: Any, **more: Any) -> Any:
            if not begun:
                begun.append(True)
                self._hold(self.exact)
                call(*deepcopy(given), **more)  # a state is not to be written over
                self._hold({name: tensor.half() for name, tensor in self.exact.items()})
            return call(*given, **more)

        return called

    def _hold(self, values: Mapping[str, Any]) -> None:
        held = self.model.state_dict()
        for name, tensor in values.items():
            held[name].copy_(tensor)


def _read_both(program: Program) -> set[str]:
    """Sources that a parameter in codes is made of, and one in fp16."""
    coded = {p.name: p.quantization is not None for p in program.parameters.values() if not p.wide}
    read = [(each.name, coded[name]) for name in coded for each in leaves(program.parameters[name].recipe)]
    return {name for name, is_coded in read if is_coded} & {name for name, is_coded in read if not is_coded}


def _once(quantize: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What gives the first result again: a quantiser belongs to one weight, and no weight of an engine changes."""
    held: list[Any] = []

    def stored(weight: Any) -> Any:
        if not held:
            held.append(quantize(weight))
        return held[0]

    return stored


class TorchFunction:
    """`step` or `forward` of a component, on numpy arrays; parameters that it shares with others are handed to it."""

    states: tuple[Argument, ...] = ()  # of its own making: the caller holds what make_state gave, and that is all

    def __init__(
        self, name: str, component: Any, call: Callable[..., Any], shared: Mapping[str, Any], function: Function
    ) -> None:
        self.name, self.component, self.function, self._call = name, component, function, call
        taken = inspect.signature(call).parameters
        self._carries = STATE in taken
        self._masked = VALID in taken and not self._carries  # which frames of a padded batch exist: all, untold
        self.takes_lengths = LENGTHS in taken
        self._arguments = {each: shared.get(each) for each in taken if each not in (STATE, LENGTHS)}
        own = [each for each, value in self._arguments.items() if value is None]
        self.inputs = [Argument(each) for each in own if not (self._masked and each == VALID)]

    def make_state(self) -> MutableMapping[str, Any]:
        """The state before the first frame, as the module makes it; empty for a component without."""
        return {STATE: self.component.initial_state(1)} if self._carries else {}

    def __call__(self, inputs: Mapping[str, Array], state: Any = None) -> dict[str, Array]:
        """Results by name. Raises EmitError for an input that is missing.

        `lengths` [batch], where it is taken and given, counts the frames of every utterance of a padded batch.
        """
        import torch

        missing = [each.name for each in self.inputs if each.name not in inputs]
        if missing:
            raise EmitError(f"{self.name} needs {listing(missing)}")
        if self._masked and VALID not in inputs:  # a step without states is told which frames of its chunk exist
            inputs = {**inputs, VALID: self._all_frames(inputs)}
        given = [_tensor(inputs[name]) if own is None else own for name, own in self._arguments.items()]
        with torch.no_grad():
            if self._carries:
                *made, state[STATE] = self._call(*given, state[STATE])
            else:
                more = {LENGTHS: torch.from_numpy(inputs[LENGTHS])} if LENGTHS in inputs else {}
                made = self._call(*given, **more)
        arrays = made if isinstance(made, (tuple, list)) else [made]
        return {name: array.detach().numpy() for (name, _), array in zip(self.function.results, arrays, strict=True)}

    def _all_frames(self, inputs: Mapping[str, Array]) -> Array:
        """Ones [batch, frames of the time dimension]."""
        sizes: dict[str, int] = {}
        axes = [(axis, n) for v in self.function.inputs for axis, n in zip(v.type.axes, inputs[v.name].shape)]
        for axis, have in axes:
            bind(axis.extent, have, sizes)
        symbols = (symbol for axis, _ in axes if axis.role is Role.TIME for symbol in axis.extent.symbols)
        batch = next((n for axis, n in axes if axis.role is Role.BATCH), 1)
        return np.ones((batch, sizes[next(symbols)]), np.float32)


def import_model(artifact: Path) -> Any:
    """The one class that the package says it is for."""
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise RuntimeMissingError("torch is not installed", hint="pip install 'mctc[train]'") from error
    for file in artifact.parent.rglob("*.py"):
        if not file.is_file():  # reading a pipe would not end
            raise EmitError(f"{file} is no regular file", hint=AGAIN)
    try:
        with imported(artifact.parent) as package:
            written = importlib.import_module(f"{package.__name__}.{artifact.stem}")
            model = getattr(written, package.__all__[0])()
    except Exception as error:
        raise EmitError(f"{artifact} can't be imported: {type(error).__name__}: {error}") from error
    return model.eval()


def _state_dict(whole: Program, weights: Weights, model: Any) -> dict[str, Any]:
    """The program's weights under the module's names: fp16 numbers, but those that the module quantises, or that are
    kept in fp32, as they are."""
    kept = (p for p in whole.parameters.values() if p.quantization is not None or p.wide)
    compressed = {each.name for p in kept for each in leaves(p.recipe)}
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
        sources = {name} if parameter is None else {each.name for each in leaves(parameter.recipe)}
        values[name] = _tensor(array if sources & compressed else array.astype(np.float16))
    return values


def _tensor(array: Array) -> Any:
    import torch

    kind = {"f": np.float32, "i": np.int64, "u": np.int64}.get(array.dtype.kind, array.dtype)
    return torch.from_numpy(np.array(array, kind))
