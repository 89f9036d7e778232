"""A neural network of the older kind (NeuralNetwork.proto) as read from disk: plain frozen records.

Its numbers are not read, only counted: a specification is thinned before it is parsed (thinned.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mctc.records import dataclass

Extents = tuple[int | None, ...]
"""The shape of a tensor; None for an extent that isn't known."""


@dataclass(frozen=True)
class Weight:
    """Numbers that a layer stores. name: of the field that holds them. bits: of each one as stored."""

    name: str
    count: int
    bits: int
    bytes: int


@dataclass(frozen=True)
class Layer:
    """A layer. `index` counts all layers in reading order, those inside branches and loops too.

    type: its name in NeuralNetwork.proto, "unknown" for one that the installed coremltools doesn't know. settings: its
    message, without numbers. declared: shapes that the file itself states of the outputs, None where it doesn't.
    inner: the layers of a branch or a loop, by the name of the field.
    """

    index: int
    name: str
    type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: Any
    weights: tuple[Weight, ...]
    declared: tuple[Extents | None, ...] = ()
    inner: tuple[tuple[str, tuple[Layer, ...]], ...] = ()

    @property
    def parameters(self) -> int:
        """How many numbers the layer stores."""
        return sum(weight.count for weight in self.weights)


@dataclass(frozen=True)
class Network:
    """A network. inputs: shapes as its layers see them, None where the description gives none. outputs: their names.

    updatable: whether it can be trained on a device.
    """

    layers: tuple[Layer, ...]
    inputs: Mapping[str, Extents | None]
    outputs: tuple[str, ...]
    updatable: bool = False

    def walk(self) -> Iterator[Layer]:
        """Every layer in reading order, branches and loops entered."""
        return walk(self.layers)


def walk(layers: Sequence[Layer]) -> Iterator[Layer]:
    """Layers in reading order, each followed by those inside it."""
    waiting = list(reversed(layers))
    while waiting:
        layer = waiting.pop()
        yield layer
        for _, inner in reversed(layer.inner):
            waiting.extend(reversed(inner))
