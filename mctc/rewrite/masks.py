"""Which entries of a parameter a smaller one has kept."""

from __future__ import annotations

import numpy as np

from mctc.ir.op import Array
from mctc.ir.program import Derived, Parameter, Recipe
from mctc.ir.recipes import recipe_key
from mctc.recipe_values import apply


def kept_entries(before: Parameter, after: Parameter) -> Array:
    """The place in `before`, in row-major order, of every entry of `after`, whose recipe continues that of `before` by
    ops that move entries."""
    size = before.type.size
    start = recipe_key(before.recipe)

    def follow(recipe: Recipe) -> Array:
        if recipe_key(recipe) == start:
            return np.arange(size, dtype=np.float64).reshape(before.type.shape)
        assert isinstance(recipe, Derived), f"{after.name} is not made of {before.name}"
        return apply(recipe, [None if each is None else follow(each) for each in recipe.operands])

    return np.asarray(follow(after.recipe).astype(np.int64))


def mask(before: Parameter, after: Parameter) -> Array:
    """Ones where `after` has kept an entry of `before`, zeros elsewhere, in the shape of `before`."""
    found = np.zeros(before.type.size)
    found[kept_entries(before, after).reshape(-1)] = 1.0
    return found.reshape(before.type.shape)
