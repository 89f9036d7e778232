"""Which values an operation may take: those that were defined before it, in its own block or in one around it."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.package import Block, Function, Operation, Reference
from mctc.records import dataclass


@dataclass(frozen=True)
class Stray:
    """A name that can't be used where it stands. operation: what takes or makes it; None where the function's own
    results name it."""

    operation: Operation | None
    name: str
    reason: str


def strays(function: Function) -> Iterator[Stray]:
    """Values that are taken where they aren't defined (yet), and names that are given to a second value."""
    everywhere = {result.name for operation in function.walk() for result in operation.outputs}
    everywhere.update(item.name for operation in function.walk() for block in operation.blocks for item in block.inputs)
    defined = {item.name for item in (*function.inputs, *function.states)}
    yield from _in_block(function.body, None, defined, everywhere)


def _in_block(block: Block, around: Operation | None, defined: set[str], everywhere: set[str]) -> Iterator[Stray]:
    """defined: the names of all values so far, which this adds its own to."""
    for operation in block.operations:
        for name in _taken(operation):
            if name not in defined:
                yield Stray(operation, name, _reason(name, everywhere))
        for nested in operation.blocks:
            yield from _in_block(nested, operation, defined | {item.name for item in nested.inputs}, everywhere)
        for result in operation.outputs:
            if result.name in defined:
                yield Stray(operation, result.name, "a name that another value has")
            defined.add(result.name)
    for name in block.outputs:
        if name not in defined:
            yield Stray(around, name, _reason(name, everywhere))


def _taken(operation: Operation) -> Iterator[str]:
    for bindings in operation.inputs.values():
        yield from (binding.name for binding in bindings if isinstance(binding, Reference))


def _reason(name: str, everywhere: set[str]) -> str:
    return "which is not defined before it is used" if name in everywhere else "which nothing defines"
