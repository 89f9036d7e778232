"""A package's functions as rules see them at each size that they are judged at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from mctc.diagnostics.errors import UsageError
from mctc.linter.coreml.graph import FunctionGraph, Misfit, PackageGraph
from mctc.linter.coreml.sizes import CHOSEN, LISTED, Size, WantedShape, sizes_of
from mctc.package import Function, Package
from mctc.records import dataclass

BUDGET = 8000
"""Ops that are judged in all, about two seconds: beyond it only some of the listed shapes are, spread evenly."""


@dataclass(frozen=True)
class AtSize:
    """A function at a size: with the shapes that its values have there. size: None where all shapes are fixed."""

    size: Size | None
    function: Function
    misfit: Misfit | None = None


class SizedPackage:
    """A package whose functions may be judged at several sizes.

    declared: with the shapes that the package declares. main: at the sizes that the report is about.
    """

    def __init__(self, package: Package, wanted: Sequence[WantedShape] = ()) -> None:
        self.sizes = {
            name: sizes_of(function, package.descriptions.get(name), wanted)
            for name, function in package.functions.items()
        }
        self.declared = PackageGraph(package)
        at_first = {name: _at(package.functions[name], sizes[0]) for name, sizes in self.sizes.items() if sizes}
        self._first = {name: at_first.get(name, AtSize(None, each)) for name, each in package.functions.items()}
        self.main = self.declared
        if any(each.function is not package.functions[name] for name, each in self._first.items()):
            self.main = PackageGraph(
                replace(package, functions={name: each.function for name, each in self._first.items()}),
                {name: each.misfit for name, each in self._first.items()},
            )

    def first(self, name: str) -> AtSize:
        """A function at its main size."""
        return self._first[name]

    def others(self, name: str) -> Iterator[AtSize]:
        """The same at its other sizes, each made when it is asked for."""
        return (self._at(name, size) for size in self.judged(name)[1:])

    def judged(self, name: str) -> list[Size]:
        """The sizes of a function at which it is judged, the main one first."""
        return within_budget(self.sizes[name], len(self.declared.functions[name].ops))

    def graph(self, at: AtSize) -> FunctionGraph:
        """The graph of a function at a size."""
        main = self.main.functions[at.function.name]
        return main if main.function is at.function else FunctionGraph(at.function, self.main, at.misfit)

    def _at(self, name: str, size: Size) -> AtSize:
        return _at(self.declared.package.functions[name], size)


def within_budget(sizes: Sequence[Size], ops: int) -> list[Size]:
    """The sizes that are judged of a program of so many ops: all but some of the listed ones."""
    room = max(3, BUDGET // max(1, ops))
    spare = [size for size in sizes[1:] if size.roles == (LISTED,)]
    over = len(sizes) - room
    if over <= 0 or not spare:
        return list(sizes)
    keep = max(0, len(spare) - over)
    kept = {id(spare[(2 * place + 1) * len(spare) // (2 * keep)]) for place in range(keep)}
    return [size for size in sizes if size.roles != (LISTED,) or size is sizes[0] or id(size) in kept]


def _at(function: Function, size: Size) -> AtSize:
    """Raises UsageError for chosen shapes that don't fit together."""
    from mctc.evaluate.coreml.shapes import at_shapes

    found = at_shapes(function, size.shapes)
    if found.misfit is None:
        return AtSize(size, found.function)
    operation = found.misfit.operation
    misfit = Misfit(operation.index, operation.name, found.misfit.reason)
    if CHOSEN in size.roles:
        raise UsageError(
            f"--shape: {function.name} doesn't fit together at {size}: {operation.type} {misfit.op}: {misfit.reason}",
            hint="inputs whose lengths go together need a --shape each",
        )
    return AtSize(size, found.function, misfit)
