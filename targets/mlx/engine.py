"""Runs the modules of an emitted package as they lie in a build, on numpy arrays."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mctc.diagnostics.near import listing
from mctc.driver.names import STATE_OUT
from mctc.emit.imported import imported
from mctc.ir.op import Array
from mctc.records import dataclass
from mctc.targets.mlx.errors import MlxError

WHOLE = ".whole"


@dataclass(frozen=True)
class MlxPort:
    """An input, output or state as config.json tells it: extents that differ from call to call are names."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> MlxPort:
        return cls(told["name"], tuple(told["shape"]), told["dtype"].replace("fp32", "float32"))

    def array(self, array: Array, function: str) -> Any:
        """The array in MLX. Raises MlxError when its shape does not fit."""
        import mlx.core as mx

        fits = len(self.shape) == array.ndim and all(
            not isinstance(want, int) or want == have for want, have in zip(self.shape, array.shape)
        )
        if not fits:
            raise MlxError(f"input `{self.name}` of '{function}' is {list(self.shape)}, not {list(array.shape)}")
        return mx.array(np.ascontiguousarray(array, self.dtype))


class MlxEngine:
    """The model of a build's package. Raises MlxError for one that can't be imported."""

    def __init__(self, artifact: Path) -> None:
        loading = self.loading = module_of(artifact, "loading")
        folder = artifact.parent.parent
        try:
            self.model, self.config = loading.load(folder), loading.config(folder)
        except Exception as error:  # of mlx, which raises ValueError for weights that don't fit, and RuntimeError
            raise MlxError(f"{folder} can't be loaded: {error}") from error

    def function(self, name: str | None = None) -> MlxFunction:
        """A component's step by its name, or the function over whole utterances. Raises MlxError for another name."""
        functions = dict(self._functions())
        wanted = name or next(iter(functions))
        if wanted not in functions:
            raise MlxError(f"there is no function `{wanted}`", hint=f"there are {listing(functions)}")
        key, called = functions[wanted]
        step = None if wanted == key + WHOLE else wanted
        call = self.loading.bound(self.model, self.config, key, step)
        return MlxFunction(wanted, getattr(self.model, key), called, call)

    def _functions(self) -> Iterator[tuple[str, tuple[str, Mapping[str, Any]]]]:
        """The component of each function, and how it is called."""
        for key, told in self.config["components"].items():
            yield from ((name, (key, called)) for name, called in told["steps"].items())
            yield key + WHOLE, (key, told["whole"])


class MlxFunction:
    """`step` or call of a component; its states are inputs and outputs."""

    states: Sequence[MlxPort] = ()

    def __init__(self, name: str, component: Any, called: Mapping[str, Any], call: Callable[..., Any]) -> None:
        self.name, self._call = name, call
        self._taken, self._given = ([MlxPort.of(each) for each in called[kind]] for kind in ("inputs", "outputs"))
        self._carried = [MlxPort.of(each) for each in called.get("states", ())]
        self._zeros = component.initial_state() if self._carried else None
        self.inputs = [*self._taken, *self._carried]

    def make_state(self) -> MutableMapping[str, Array]:
        """None: states are inputs and outputs."""
        return {}

    def __call__(self, inputs: Mapping[str, Array], state: Any = None) -> dict[str, Array]:
        """One call: outputs by name. Raises MlxError naming the input that is missing or misshapen."""
        missing = [port.name for port in self.inputs if port.name not in inputs]
        if missing:
            raise MlxError(f"'{self.name}' needs input {listing(missing)}")
        given = [port.array(np.asarray(inputs[port.name]), self.name) for port in self.inputs]
        arguments = given[: len(self._taken)]
        if self._zeros is not None:
            arguments.append(rebuilt(self._zeros, iter(given[len(self._taken) :])))
        try:
            made = self._call(*arguments)
            results = list(leaves(made))
            arrays = [np.array(each) for each in results]
        except (ValueError, RuntimeError) as error:
            raise MlxError(f"'{self.name}' can't be executed: {error}") from error
        names = [port.name for port in self._given] + [port.name + STATE_OUT for port in self._carried]
        return dict(zip(names, arrays, strict=True))


def leaves(tree: Any) -> Iterator[Any]:
    """The arrays of nested tuples, one after the other."""
    if isinstance(tree, (tuple, list)):
        for each in tree:
            yield from leaves(each)
    else:
        yield tree


def rebuilt(tree: Any, arrays: Iterator[Any]) -> Any:
    """Tuples nested as in `tree`, of other arrays."""
    if not isinstance(tree, tuple):
        return next(arrays)
    parts = [rebuilt(each, arrays) for each in tree]
    return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)


def module_of(artifact: Path, module: str) -> Any:
    """A module of the emitted package. Raises MlxError where that can't be imported."""
    try:
        with imported(artifact.parent) as package:
            return importlib.import_module(f"{package.__name__}.{module}")
    except Exception as error:
        raise MlxError(f"{artifact} can't be imported: {type(error).__name__}: {error}") from error
