"""The view of a neural network that rules get: layers with the shapes of what they take and make."""

from __future__ import annotations

from dataclasses import dataclass

from mctc.lint.coreml.network.macs import macs
from mctc.lint.coreml.network.shapes import CONTROL, made_by
from mctc.package.model import ForeignModel
from mctc.package.network import Extents, Layer, Network


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

    def __init__(self, model: ForeignModel, network: Network) -> None:
        self.model, self.network = model, network
        self.shapes: dict[str, Extents | None] = dict(network.inputs)
        self.made_by: dict[str, Node] = {}
        self.taken_by: dict[str, list[Node]] = {}
        self.nodes = tuple(self._node(layer) for layer in network.walk())

    def _node(self, layer: Layer) -> Node:
        inputs = tuple(self.shapes.get(name) for name in layer.inputs)
        outputs = made_by(layer, inputs)
        node = Node(layer, inputs, outputs, macs(layer, inputs, outputs))
        for name in layer.inputs:
            self.taken_by.setdefault(name, []).append(node)
        for name, shape in zip(layer.outputs, outputs, strict=True):
            self.shapes[name] = shape
            self.made_by[name] = node
        return node

    def producers(self, node: Node) -> list[Node | None]:
        """What makes each operand; None for an input of the network."""
        return [self.made_by.get(name) for name in node.layer.inputs]
