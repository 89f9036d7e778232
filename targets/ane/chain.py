"""A function written as several: what its parts are, and what executes them one after the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mctc.diagnostics.near import listing
from mctc.driver.engine import Engine, Executable
from mctc.driver.manifest import write_json
from mctc.driver.names import identifier
from mctc.driver.target import Interface
from mctc.ir.op import Array
from mctc.ir.program import Function, PackedState
from mctc.records import dataclass
from mctc.targets.ane.errors import EmitError

SUFFIX = ".chain.json"


@dataclass(frozen=True)
class Port:
    """An input or state of the chain."""

    name: str


@dataclass(frozen=True)
class Place:
    """Where a state lies in its part's packed one, in rows of `kept` (mctc.ir.program.PackedState). shape: the state's
    own, of the same entries in the same order."""

    state: str
    tensor: str
    row: int
    column: int
    kept: tuple[int, ...]
    pitch: int | None
    shape: tuple[int, ...]

    @classmethod
    def of(cls, packed: PackedState, function: Function) -> Place:
        (state,) = (each for each in function.states if each.name == packed.name)
        name, tensor = identifier(packed.name), identifier(packed.tensor)
        return cls(name, tensor, packed.row, packed.column, packed.shape, packed.pitch, state.value.type.shape)

    @classmethod
    def told(cls, told: Mapping[str, Any]) -> Place:
        values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in told.items()}
        return cls(**values)

    def entries(self, tensor: Array) -> Array:
        """Where its entries lie in the flattened tensor, in the shape of the state."""
        width = tensor.shape[-1]
        rows = self.kept[1] if len(self.kept) > 2 else 1
        columns = np.arange(int(np.prod(self.kept)) // rows)
        at = self.row * width + self.column + np.arange(rows)[:, None] * (self.pitch or width) + columns
        return np.asarray(at.reshape(self.shape))


def write_chain(path: Path, function: Function, parts: Sequence[tuple[Interface, Function]]) -> None:
    """Writes how the parts of a function, whose states are not packed, are called."""
    told = [
        {
            "package": interface.artifact,
            "function": interface.name,
            "inputs": [port.name for port in interface.inputs],
            "outputs": [port.name for port in interface.outputs],
            "states": [asdict(Place.of(packed, function)) for packed in part.packing],
        }
        for interface, part in parts
    ]
    write_json(path, {"function": function.name, "parts": told})


def packages(path: Path) -> list[Path]:
    """The packages of a chain's file, in the order of their calls."""
    return [path.parent / part["package"] for part in json.loads(path.read_text(encoding="utf-8"))["parts"]]


class Chain:
    """The engine of a chain's file. opened: what executes a package."""

    def __init__(self, path: Path, opened: Callable[[Path], Engine]) -> None:
        self.path, told = path, json.loads(path.read_text(encoding="utf-8"))
        self.name = str(told["function"])
        self.parts = [Part.of(each, opened(path.parent / each["package"])) for each in told["parts"]]

    def function(self, name: str | None = None) -> ChainFunction:
        """The one function. Raises EmitError for another name."""
        if name not in (None, self.name):
            raise EmitError(f"{self.path} holds no function `{name}`", hint=f"it holds {self.name}")
        return ChainFunction(self.name, self.parts)


@dataclass(frozen=True)
class Part:
    """One function of a chain."""

    called: Executable
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    places: tuple[Place, ...]

    @classmethod
    def of(cls, told: Mapping[str, Any], engine: Engine) -> Part:
        places = tuple(map(Place.told, told["states"]))
        return cls(engine.function(told["function"]), tuple(told["inputs"]), tuple(told["outputs"]), places)


class ChainFunction:
    """The parts, called one after the other; each finds its own states."""

    def __init__(self, name: str, parts: Sequence[Part]) -> None:
        self.name, self.parts = name, parts
        made = {output for part in parts for output in part.outputs}
        given = dict.fromkeys(each for part in parts for each in part.inputs if each not in made)
        self.inputs = [Port(each) for each in given]
        self.states = [Port(place.state) for part in parts for place in part.places]

    def make_state(self) -> ChainState:
        """States of zeros, by the names that they have in the program."""
        return ChainState(self.parts)

    def __call__(self, inputs: Mapping[str, Array], state: Any = None) -> dict[str, Array]:
        """Results of every part by name. Raises EmitError naming an input that is missing."""
        values, held = dict(inputs), self.make_state() if state is None else state
        if missing := [port.name for port in self.inputs if port.name not in values]:
            raise EmitError(f"'{self.name}' needs input {listing(missing)}")
        for part, own in zip(self.parts, held.parts, strict=True):
            values |= part.called({name: values[name] for name in part.inputs}, own or None)
        return {name: values[name] for part in self.parts for name in part.outputs}


class ChainState(MutableMapping[str, Array]):
    """The states of a chain by the names of the program, in the packed ones of its parts."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = [part.called.make_state() for part in parts]
        self._places = {place.state: (place, own) for part, own in zip(parts, self.parts) for place in part.places}

    def __getitem__(self, name: str) -> Array:
        place, own = self._places[name]
        tensor = np.asarray(own[place.tensor])
        return np.asarray(tensor.reshape(-1)[place.entries(tensor)])

    def __setitem__(self, name: str, array: Array) -> None:
        place, own = self._places[name]
        tensor = np.array(own[place.tensor])
        tensor.reshape(-1)[place.entries(tensor)] = array
        own[place.tensor] = tensor

    def __delitem__(self, name: str) -> None:
        raise TypeError("a chain keeps its states")

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
