"""A function's ops by instance path: which of them a class's method holds, and what goes in and out of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import field

from mctc.ir.ops.leaf import Constant, Leaf, parameter_of
from mctc.ir.program import Function, Op, State, Value
from mctc.records import dataclass
from mctc.targets.torch.instance_paths import around


@dataclass(eq=False)
class Node:
    """One instance of a block, one round of a repeat, or a component: `items` run in order.

    `path` is the instance path ('encoder.layers.0.mamba'), `element` its last part ('mamba', 'layers.0').
    """

    path: str
    element: str
    items: list[Op | Node] = field(default_factory=list)

    @property
    def attribute(self) -> str:
        """What the parent calls it: 'mamba', or 'layers' for a round of a repeat."""
        return self.element.partition(".")[0]

    @property
    def index(self) -> int | None:
        """Which round of a repeat it is."""
        number = self.element.partition(".")[2]
        return int(number) if number else None

    @property
    def children(self) -> list[Node]:
        return [item for item in self.items if isinstance(item, Node)]

    def ops(self) -> Iterator[Op]:
        """Every op inside, in order."""
        for item in self.items:
            if isinstance(item, Node):
                yield from item.ops()
            else:
                yield item

    def nodes(self) -> Iterator[Node]:
        """This node and every one inside."""
        yield self
        for child in self.children:
            yield from child.nodes()

    def holds(self, path: str) -> bool:
        """Whether an instance path or a parameter's name lies inside."""
        return path == self.path or path.startswith(f"{self.path}.")


def rounds_of(attribute: str, parent: Node) -> list[Node]:
    """The rounds of a repeat in a node."""
    return [child for child in parent.children if child.attribute == attribute and child.index is not None]


def index_text(child: Node, parent: Node) -> str:
    """How a parent picks one of a repeat's rounds: `[2]`, or `["2"]` where passes left some rounds without an op."""
    if child.index is None:
        return ""
    numbers = [each.index for each in rounds_of(child.attribute, parent)]
    return f"[{child.index}]" if numbers == [*range(len(numbers))] else f'["{child.index}"]'


def elements(path: str) -> list[str]:
    """The parts of an instance path; the number of a round stays with its repeat: 'encoder', 'layers.0', 'mamba'."""
    parts: list[str] = []
    for part in path.split("."):
        if part.isdigit() and parts:
            parts[-1] += f".{part}"
        else:
            parts.append(part)
    return parts


def grow(function: Function, layers: Mapping[str, Op], known: Collection[str] | None = None) -> Node:
    """The tree of a function. Instances in `layers`, or not among those that are `known`, get no node: their ops stand
    in the instance around them.

    An op whose instance has ended before (a pass moved it) stands in the nearest instance that has not.
    """
    root = Node(function.name, function.name)
    stack, ended = [root], set[str]()
    nodes = None if known is None else {*known, root.path}
    for op in function.ops:
        if isinstance(op, Leaf):  # written where it is used
            continue
        chain = _chain(root, op.origin.path, layers, ended, nodes)
        if len(chain) < len(stack) and [node.path for node in stack[: len(chain)]] == chain:
            inner = stack[len(chain)]
            if not any(
                value.owner in made for made in [set(inner.ops())] for value in op.operands if value is not None
            ):
                stack[len(chain) - 1].items.insert(-1, op)  # it needs nothing from the instance that it interrupts
                continue
        while [node.path for node in stack] != chain[: len(stack)]:
            ended.add(stack.pop().path)
        for path in chain[len(stack) :]:
            node = Node(path, elements(path)[-1])
            stack[-1].items.append(node)
            stack.append(node)
        stack[-1].items.append(op)
    return root


def _chain(
    root: Node, path: str, layers: Mapping[str, Op], ended: set[str], known: Collection[str] | None
) -> list[str]:
    """The paths of the nodes around an op, from the root inwards."""
    chain = [root.path]
    if root.holds(path):
        for part in elements(path[len(root.path) + 1 :]) if path != root.path else []:
            inner = f"{chain[-1]}.{part}"
            if inner in ended or inner in layers or (known is not None and inner not in known):
                break
            chain.append(inner)
    return chain


class Flow:
    """What goes in and out of every node of a function's tree."""

    def __init__(self, function: Function, root: Node) -> None:
        self.function, self.root = function, root
        self.uses = function.uses()
        self.made = {node: {value for op in node.ops() for value in op.results} for node in root.nodes()}
        self.states = self._owners()
        self.updates = {state.update for state in function.states}
        self._inputs: dict[Node, list[Value]] = {}
        self._outputs: dict[Node, list[Value]] = {}

    def _owners(self) -> dict[Node, list[State]]:
        """The states that each node carries: those of its own path, and of the layers in it."""
        owners: dict[Node, list[State]] = {}
        nodes = {node.path: node for node in self.root.nodes()}
        for state in self.function.states:
            outward = [nodes[path] for path in (*around(state.name), state.name) if path in nodes][::-1]
            inmost = next((node for node in outward if self._carries(node, state)), self.root)
            owners.setdefault(inmost, []).append(state)
        return owners

    def _carries(self, node: Node, state: State) -> bool:
        mine = self.made[node]
        users = self.uses.get(state.value, [])
        return state.update in mine and all(mine.issuperset(op.results) for op in users)

    def carried(self, node: Node) -> list[State]:
        """The states of a node and of every node inside."""
        return [state for inner in node.nodes() for state in self.states.get(inner, ())]

    def inputs(self, node: Node) -> list[Value]:
        """Values from outside in the order of their first use; parameters that lie inside are not among them."""
        if node not in self._inputs:
            self._inputs[node] = self._find_inputs(node)
        return self._inputs[node]

    def _find_inputs(self, node: Node) -> list[Value]:
        mine, states = self.made[node], {state.value for state in self.carried(node)}
        found: dict[Value, None] = {}
        used = [value for op in node.ops() for value in op.operands if value is not None]
        if node is self.root:
            used += [value for _, value in self.function.results]
        for value in used:
            if value not in mine and value not in states and not self._own(node, value):
                found[value] = None
        return list(found)

    @staticmethod
    def _own(node: Node, value: Value) -> bool:
        """Whether a value is a constant, or a parameter inside the node."""
        return isinstance(value.owner, Constant) or (bool(name := parameter_of(value)) and node.holds(name))

    def outputs(self, node: Node) -> list[Value]:
        """Values that are used outside, in the order they are made."""
        if node not in self._outputs:
            self._outputs[node] = self._find_outputs(node)
        return self._outputs[node]

    def _find_outputs(self, node: Node) -> list[Value]:
        mine = self.made[node]
        carried = {state.update for state in self.carried(node)}
        leaving = {value for _, value in self.function.results} | (self.updates - carried)
        return [
            value
            for op in node.ops()
            for value in op.results
            if value in leaving or any(not mine.issuperset(user.results) for user in self.uses.get(value, ()))
        ]
