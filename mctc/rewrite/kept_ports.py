"""What a pruned program leaves of inputs and results: components that are joined to one another hand on fewer
channels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field

import numpy as np

from mctc.ir.dims import Extent
from mctc.ir.op import Array
from mctc.ir.program import Program, Value
from mctc.ir.types import TensorType
from mctc.records import dataclass
from mctc.rewrite.axis_groups import Groups
from mctc.rewrite.removed_groups import removed

Kept = Mapping[int, Array]  # by axis, the entries that stay


def kept_of(value: Value, groups: Groups, gone: Array) -> Kept:
    """Of the axes of which some entries go."""
    found = {}
    for axis, extent in enumerate(value.type.extents):
        if extent.is_static and (out := np.isin(groups.of(value, axis), gone)).any():
            found[axis] = np.flatnonzero(~out)
    return found


def narrowed(type_: TensorType, kept: Kept) -> TensorType:
    """A type without what goes."""
    for axis, entries in kept.items():
        type_ = type_.with_extent(axis, Extent.of(len(entries)))
    return type_


@dataclass(frozen=True)
class KeptPorts:
    """By component and name."""

    inputs: Mapping[tuple[str, str], Kept] = field(default_factory=dict)
    results: Mapping[tuple[str, str], Kept] = field(default_factory=dict)

    @staticmethod
    def of(program: Program) -> KeptPorts:
        """Of a program with a `prune` section. Raises PruneError as the pass does."""
        groups = Groups(program)
        gone = removed(program, groups)
        functions = program.functions.values()

        def told(ports: Iterable[tuple[str, str, Value]]) -> dict[tuple[str, str], Kept]:
            found = {(function, name): kept_of(value, groups, gone) for function, name, value in ports}
            return {port: kept for port, kept in found.items() if kept}

        return KeptPorts(
            told((f.name, value.name, value) for f in functions for value in f.inputs),
            told((f.name, name, value) for f in functions for name, value in f.results),
        )


def without(array: Array, kept: Kept) -> Array:
    """An array without what goes."""
    for axis, entries in kept.items():
        array = np.take(array, entries, axis)
    return array
