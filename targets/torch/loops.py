"""A repeat whose rounds hand one value on: written as a loop over a ModuleList."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mctc.ir.program import Op, Value
from mctc.records import dataclass
from mctc.targets.torch.tree import Flow, Node, rounds_of


@dataclass(frozen=True, eq=False)
class Loop:
    """Every round of a repeat. `entry` is what the first takes and each hands on, `last` what comes out.

    `others` are values from outside that every round takes alike.
    """

    nodes: tuple[Node, ...]
    entry: Value
    last: Value
    others: tuple[Value, ...]


def with_loops(node: Node, flow: Flow, classes: Mapping[str, str]) -> list[Op | Node | Loop]:
    """The items of a node, each repeat that is a loop as one item. `classes` are class names by path."""
    items: list[Op | Node | Loop] = []
    repeats = dict.fromkeys(child.attribute for child in node.children if child.index is not None)
    found = (_loop(rounds_of(repeat, node), node, flow, classes) for repeat in repeats)
    loops = {loop.nodes[0]: loop for loop in found if loop is not None}
    inside = {each for loop in loops.values() for each in loop.nodes}
    for item in node.items:
        if isinstance(item, Op) or item not in inside:
            items.append(item)
        elif item in loops:
            items.append(loops[item])
    return items


def _loop(nodes: Sequence[Node], parent: Node, flow: Flow, classes: Mapping[str, str]) -> Loop | None:
    """The rounds of one repeat as a loop, or None where they differ or do something else than hand a value on."""
    start = parent.items.index(nodes[0])
    if list(nodes) != parent.items[start : start + len(nodes)] or [n.index for n in nodes] != [*range(len(nodes))]:
        return None
    if len({classes[node.path] for node in nodes}) != 1:
        return None
    taken, made = [flow.inputs(node) for node in nodes], [flow.outputs(node) for node in nodes]
    if any(len(values) != 1 for values in made) or not taken[0] or len({len(values) for values in taken}) != 1:
        return None
    moving = [[before[0] is value for value in values] for before, values in zip(made, taken[1:])]
    place = moving[0].index(True) if moving and True in moving[0] else 0
    if any(row.count(True) != 1 or not row[place] for row in moving):
        return None
    others = [[value for index, value in enumerate(values) if index != place] for values in taken]
    if any(row != others[0] for row in others):
        return None
    for before, node in zip(made, nodes[1:]):
        mine = flow.made[node]
        if any(not mine.issuperset(user.results) for user in flow.uses[before[0]]) or before[0] in flow.updates:
            return None
        if before[0] in {value for _, value in flow.function.results}:
            return None
    return Loop(tuple(nodes), taken[0][place], made[-1][0], tuple(others[0]))
