"""The view of a neural network that rules get: layers with the shapes of what they take and make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mctc.linter.coreml.network.by_value import shape_by_value
from mctc.linter.coreml.network.macs import macs
from mctc.linter.coreml.network.shapes import CONTROL, made_by
from mctc.linter.coreml.network.values import NOTHING, Value, unknown, value_of
from mctc.package.model import ForeignModel
from mctc.package.network import Extents, Layer, Network, walk
from mctc.records import dataclass

Shapes = dict[str, Extents | None]
SIDES = ("ifBranch", "elseBranch")


@dataclass(frozen=True, eq=False)
class Node:
    """A layer in its network. inputs, outputs: shapes, None where they can't be told. macs: None where not known."""

    layer: Layer
    inputs: tuple[Extents | None, ...]
    outputs: tuple[Extents | None, ...]
    macs: int | None

    @property
    def type(self) -> str:
        return self.layer.type

    @property
    def is_known(self) -> bool:
        """Whether the shapes of all its results are known, whole or up to some extents."""
        return self.type in CONTROL or None not in self.outputs


class NetworkGraph:
    """A network with inferred shapes, its layers in reading order, those inside branches and loops too."""

    def __init__(
        self, model: ForeignModel, network: Network, inputs: Mapping[str, Extents | None] | None = None
    ) -> None:
        """inputs: their shapes as the layers see them; the defaults if left out."""
        self.model, self.network = model, network
        self.inputs = {name: possible(shape) for name, shape in (inputs or network.inputs).items()}
        self.shapes: dict[str, Extents | None] = dict(self.inputs)
        self.made_by: dict[str, Node] = {}
        self._values: dict[str, Value] = {}
        self._nodes: list[Node] = []
        self._run(network.layers)
        self.nodes = tuple(self._nodes)

    def _run(self, layers: Sequence[Layer]) -> None:
        for layer in layers:
            self._node(layer)
            if layer.type == "branch":
                self._branch(layer)
            elif layer.type == "loop":
                self._loop(layer)

    def _node(self, layer: Layer) -> None:
        inputs = tuple(self.shapes.get(name) for name in layer.inputs)
        values = [self._value(name) for name in layer.inputs]
        outputs = made_by(layer, inputs)
        told = shape_by_value(layer, inputs, values)
        if told is not None:
            outputs = (told, *outputs[1:])
        outputs = tuple(map(possible, outputs))
        node = Node(layer, inputs, outputs, macs(layer, inputs, outputs))
        self._nodes.append(node)
        for name, shape in zip(layer.outputs, outputs, strict=True):
            self.shapes[name], self.made_by[name] = shape, node
            self._values.pop(name, None)
        if outputs:
            self._values[layer.outputs[0]] = value_of(layer, values, inputs, outputs[0])

    def _value(self, name: str) -> Value:
        value = self._values.get(name)
        return unknown(self.shapes.get(name)) if value is None else value

    def _branch(self, layer: Layer) -> None:
        """Both sides; what holds behind them is that of the one that is taken, or what they have in common."""
        asked = self._value(layer.inputs[0]) if layer.inputs else NOTHING
        known = asked.size == 1 and not np.isnan(asked).any()
        taken = ("ifBranch" if asked.any() else "elseBranch") if known else None
        before = (self.shapes, self._values)
        ends = {}
        for name, inner in layer.inner:
            self.shapes, self._values = dict(before[0]), dict(before[1])
            self._run(inner)
            ends[name] = (self.shapes, self._values)
        possible = [ends.get(name, before) for name in (SIDES if taken is None else (taken,))]
        self.shapes, self._values = _common(possible)

    def _loop(self, layer: Layer) -> None:
        """The layers once. What they make anew has no known value, and the shape that it has before and after."""
        made = {name for _, inner in layer.inner for each in walk(inner) for name in each.outputs}
        self._values = {name: value for name, value in self._values.items() if name not in made}
        before = (dict(self.shapes), dict(self._values))
        for _, inner in layer.inner:
            self._run(inner)
        self._values = {name: value for name, value in self._values.items() if name not in made}
        self.shapes, self._values = _common([before, (self.shapes, self._values)])

    def producers(self, node: Node) -> list[Node | None]:
        """What makes each operand; None for an input of the network."""
        return [self.made_by.get(name) for name in node.layer.inputs]


def possible(shape: Extents | None) -> Extents | None:
    """A shape as it is told, without extents that no tensor has."""
    return None if shape is None else tuple(None if extent is None or extent < 0 else extent for extent in shape)


def _common(ends: Sequence[tuple[Shapes, dict[str, Value]]]) -> tuple[Shapes, dict[str, Value]]:
    """What is known of every name however it came to be; of one that only some have, what they say."""
    shapes, values = dict(ends[0][0]), dict(ends[0][1])
    for other_shapes, other_values in ends[1:]:
        for name, shape in other_shapes.items():
            shapes[name] = _either(shapes[name], shape) if name in shapes else shape
        known = {name: value for name, value in values.items() if name in other_values}
        values = {name: value for name, value in known.items() if np.array_equal(value, other_values[name])}
    return shapes, values


def _either(one: Extents | None, other: Extents | None) -> Extents | None:
    if one is None or other is None or len(one) != len(other):
        return None
    return tuple(a if a == b else None for a, b in zip(one, other, strict=True))
