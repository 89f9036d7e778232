"""Walking a syntax tree without knowing its nodes."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import fields
from functools import cache
from typing import cast

from mctc.language import syntax as s


@cache
def _parts(kind: Hashable) -> tuple[str, ...]:
    return tuple(
        field.name for field in fields(cast(type[s.Node], kind)) if field.name not in ("span", "source", "text")
    )


def children(node: s.Node) -> Iterator[s.Node]:
    """The nodes directly inside a node, in the order of the text."""
    for name in _parts(cast(Hashable, type(node))):
        yield from _nodes(getattr(node, name))


def _nodes(value: object) -> Iterator[s.Node]:
    if isinstance(value, s.Node):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _nodes(item)


def walk(node: s.Node) -> Iterator[s.Node]:
    """A node and all nodes inside it."""
    yield node
    for child in children(node):
        yield from walk(child)


def labels(body: s.Body) -> frozenset[str]:
    """The names behind `as` on calls in a body, without those inside its repeats (they have a scope of their own)."""
    found: set[str] = set()
    waiting: list[s.Node] = list(body.statements)
    while waiting:
        node = waiting.pop()
        if isinstance(node, s.Repeat):
            if node.label is not None:
                found.add(node.label.text)
            waiting.append(node.count)
            continue
        if isinstance(node, s.Call) and node.label is not None:
            found.add(node.label.text)
        waiting.extend(children(node))
    return frozenset(found)
