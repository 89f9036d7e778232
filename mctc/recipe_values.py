"""Recipes evaluated over arrays, and what one is of a single tensor whose entries it moves about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from mctc.ir.declared import registry
from mctc.ir.location import Origin
from mctc.ir.op import Array, ieee
from mctc.ir.program import Derived, Recipe, Source
from mctc.ir.program import Value as IrValue
from mctc.ir.recipes import STRUCTURAL


def apply(recipe: Derived, operands: list[Array | None]) -> Array:
    """One node of a recipe on arrays."""
    definition = registry()[recipe.op]
    types = tuple(None if r is None else IrValue(r.type) for r in recipe.operands)
    values: list[Any] = list(operands)
    declared = definition.fields
    if declared and declared[-1].variadic:
        fixed = len(declared) - 1
        values = [*values[:fixed], tuple(values[fixed:])]
    with ieee():
        return definition(types, dict(recipe.attributes), Origin()).reference(*values)[recipe.result]


def recomputed(recipe: Recipe, array: Array) -> Array:
    """A recipe over one tensor (`rearranged` gives its source), for another value of that."""
    if isinstance(recipe, Source):
        return array.reshape(recipe.type.shape)
    operands = [None if each is None else recomputed(each, array) for each in recipe.operands]
    return apply(recipe, operands)


def stages(recipe: Recipe) -> Iterable[tuple[int, ...]]:
    """The shapes that one tensor takes on its way through a recipe, the checkpoint's own first."""
    if isinstance(recipe, Derived):
        main = [r for r in recipe.operands if r is not None]
        if len(main) == 1:
            yield from stages(main[0])
        elif (source := rearranged(recipe)) is not None:
            yield source.type.shape
    yield recipe.type.shape


def rearranged(recipe: Recipe) -> Source | None:
    """The one tensor whose entries a recipe moves about; None where it does arithmetic or joins several."""
    if isinstance(recipe, Source):
        return recipe
    operands = [each for each in recipe.operands if each is not None]
    found = {rearranged(each) for each in operands}
    source = found.pop() if recipe.op in STRUCTURAL and len(found) == 1 else None
    return source if source is None or len(operands) == 1 or _each_once(recipe, source) else None


def _each_once(recipe: Recipe, source: Source) -> bool:
    """Whether parts of one tensor that are joined have none of its entries twice."""
    places = recomputed(recipe, np.arange(1, source.type.size + 1, dtype=np.float64)).ravel()
    places = places[places > 0]  # what is padded is none
    return len(np.unique(places)) == len(places)
