"""In what arithmetic the ops run that are predicted on the engine, and how large its sums can get."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from mctc.linter.coreml.placement import Placement
from mctc.linter.coreml.segment import Backend
from mctc.linter.coreml.sum_bounds import largest_sum
from mctc.linter.coreml.target import Target
from mctc.records import dataclass


@dataclass(frozen=True)
class EngineNumbers:
    """family: whose arithmetic. ops: how many of each type on the engine, by what is known of them (`Basis`), the most
    frequent first. sums: how many of them add products; bounded: of these, those whose sums the file bounds; largest:
    the largest bound, and at which op.
    """

    family: str
    ops: Mapping[str, tuple[tuple[str, int], ...]]
    sums: int
    bounded: int
    largest: float | None = None
    at: str | None = None


def engine_numbers(placement: Placement, target: Target) -> EngineNumbers | None:
    """None where nothing is on the engine, and for a family whose arithmetic isn't published."""
    ops = [op for op, where in zip(placement.function.ops, placement.path, strict=True) if where is Backend.ANE]
    family = target.family.name.lower()
    if not ops:
        return None
    from mctc.evaluate.engine.arithmetic import FAMILIES, Arithmetic

    if family not in FAMILIES:
        return None
    from mctc.evaluate.engine.engine import CONTRACTIONS, Basis, basis

    arithmetic = Arithmetic("engine", family)
    by_basis = {
        kind.value: tuple(Counter(op.type for op in ops if basis(op.type, arithmetic) is kind).most_common())
        for kind in Basis
    }
    sums = [op for op in ops if op.type in CONTRACTIONS]
    bounds = [(found, op.name) for op in sums if (found := largest_sum(op)) is not None]
    largest, at = max(bounds, default=(None, None))
    return EngineNumbers(family, {k: v for k, v in by_basis.items() if v}, len(sums), len(bounds), largest, at)
