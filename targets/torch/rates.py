"""Rates of what acts in training alone that differ from round to round of a repeat.

The rounds still share a class: each holds its rates as attributes, which the component sets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from mctc.ir.ops.training import Training
from mctc.ir.program import Op
from mctc.targets.torch.expressions.text import literal, number
from mctc.targets.torch.tree import Node

ROUND = re.compile(r"\.\d+(?=\.|$)")  # the number of a round in an instance path


def rates_of(root: Node, taken: Callable[[str], bool]) -> Mapping[Op, str]:
    """The attributes that hold the rates of such ops. `taken`: whether a path is that of a tensor or an instance."""
    alike: dict[tuple[str, int], dict[Training, Node]] = {}
    for node in root.nodes():
        for count, op in enumerate(item for item in node.items if isinstance(item, Training)):
            alike.setdefault((ROUND.sub("", node.path), count), {})[op] = node
    named: dict[Op, str] = {}
    for (_, count), ops in alike.items():
        if len({op.rate for op in ops}) > 1:
            name = f"drop_rate_{count}" if count else "drop_rate"
            while any(taken(f"{node.path}.{name}") for node in ops.values()):
                name += "_"
            named |= dict.fromkeys(ops, name)
    return named


def held_rates(node: Node, rates: Mapping[Op, str]) -> dict[str, float]:
    """The rates that the class of a node holds, by attribute."""
    return {rates[op]: op.rate for op in node.items if isinstance(op, Training) and op in rates}


def lines(root: Node, rates: Mapping[Op, str]) -> Iterator[str]:
    """Lines of a component that give each of its rounds its own rates."""
    told: dict[str, dict[str, float]] = {}
    for node in root.nodes():
        for attribute, rate in held_rates(node, rates).items():
            told.setdefault(attribute, {})[node.path[len(root.path) + 1 :]] = rate
    for attribute, by_path in told.items():
        listed = ", ".join(f"{literal(path)}: {number(float(f'{rate:.6g}'))}" for path, rate in by_path.items())
        yield f"self.set_rates({literal(attribute)}, {{{listed}}})"
