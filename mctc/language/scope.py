"""Names while a body runs: their values, and the path elements that instances and parameters have taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field

from mctc.diagnostics.source import Span
from mctc.ir.types import Axis
from mctc.language import syntax as s
from mctc.language.modules import Module
from mctc.language.values import Bound, Single
from mctc.records import dataclass


class Scope:
    """Values by name. `lazy` values are computed when first asked for (defaults that refer to one another)."""

    def __init__(self, parent: Scope | None = None) -> None:
        self.parent = parent
        self.values: dict[str, Bound] = {}
        self.lazy: dict[str, Callable[[], Single]] = {}
        self.dims: set[str] = set()
        self.spread: tuple[Axis, ...] | None = None  # the axes that `...` stands for

    def find(self, name: str) -> Scope | None:
        """The scope that holds `name`."""
        scope: Scope | None = self
        while scope is not None and name not in scope.values and name not in scope.lazy:
            scope = scope.parent
        return scope

    def get(self, name: str) -> Bound:
        """The value of a name that `find` finds."""
        scope = self.find(name)
        assert scope is not None
        if name not in scope.values:
            scope.values[name] = scope.lazy.pop(name)()
        return scope.values[name]

    def names(self) -> Iterator[str]:
        yield from self.values
        yield from self.lazy
        if self.parent is not None:
            yield from self.parent.names()

    def is_dim(self, name: str) -> bool:
        return name in self.dims or (self.parent is not None and self.parent.is_dim(name))


class Elements:
    """Path elements taken in one instance. Explicit ones (behind `as`) are kept free of automatic ones."""

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        self.reserved, self.taken = frozenset(reserved), dict[str, Span]()

    def claim(self, name: str, span: Span) -> Span | None:
        """Takes `name` as it is. Returns the place that took it before, if there is one."""
        before = self.taken.get(name)
        self.taken.setdefault(name, span)
        return before

    def make(self, name: str, span: Span) -> str:
        """Takes `name`, or name_1, name_2 ... when it is taken."""
        unique, number = name, 0
        while unique in self.taken or unique in self.reserved:
            number += 1
            unique = f"{name}_{number}"
        self.taken[unique] = span
        return unique


@dataclass(frozen=True)
class Site:
    """A call that is being elaborated. `arguments`: where what it gives to each input of its block is written."""

    name: str
    span: Span
    node: object
    arguments: Mapping[str, Span] = field(default_factory=dict)


@dataclass(frozen=True)
class Frame:
    """One running body: where names are looked up and where its instances stand in the path."""

    module: Module
    scope: Scope
    path: str
    elements: Elements
    bound: Mapping[str, int] = field(default_factory=dict)  # how often the body binds each name
    labels: frozenset[str] = frozenset()  # names behind `as`
    sites: tuple[Site, ...] = ()

    def child(self, element: str) -> str:
        return f"{self.path}.{element}" if self.path else element

    def inside(self, element: str, labels: frozenset[str]) -> Frame:
        """The same body one path element deeper: an iteration of a repeat, with the names behind `as` in it."""
        return Frame(self.module, self.scope, self.child(element), Elements(labels), self.bound, labels, self.sites)


def bindings(body: s.Body) -> dict[str, int]:
    """How often a body binds each name; of the branches of an `if` the one that binds it most often counts."""
    counts: dict[str, int] = {}

    def add(more: Mapping[str, int]) -> None:
        for name, number in more.items():
            counts[name] = counts.get(name, 0) + number

    for statement in body.statements:
        if isinstance(statement, s.Assign):
            add({target.text: 1 for target in statement.targets})
        elif isinstance(statement, s.Repeat):
            add(bindings(statement.body))
        elif isinstance(statement, s.Scan):
            add({held.name.text: 1 for held in statement.states})
            add(bindings(statement.body))
        elif isinstance(statement, s.If):
            bodies = [branch for _, branch in statement.branches] + (
                [statement.otherwise] if statement.otherwise else []
            )
            most: dict[str, int] = {}
            for branch in bodies:
                for name, number in bindings(branch).items():
                    most[name] = max(most.get(name, 0), number)
            add(most)
    return counts
