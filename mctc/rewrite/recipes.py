"""Recipes of parameters: an op of the IR composed onto them, with its shape inferred by the op itself."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mctc.ir.build import make
from mctc.ir.location import Origin
from mctc.ir.op import InferenceError, registry
from mctc.ir.program import Derived, Parameter, Recipe, Source, Value

STRUCTURAL = frozenset({"reshape", "transpose", "slice", "pad", "concat", "split", "reverse"})
"""Ops that move a parameter's entries without changing them."""


def compose(name: str, operands: Sequence[Recipe | None], attributes: Mapping[str, Any], result: int = 0) -> Derived:
    """Op `name` applied to recipes; `result` picks one of several results. Raises InferenceError."""
    definition = registry().get(name)
    if definition is None:
        raise InferenceError(f"there is no op named {name}")
    op = make(definition, [None if recipe is None else Value(recipe.type) for recipe in operands], attributes, Origin())
    return Derived(name, tuple(operands), tuple(sorted(op.attributes.items())), op.results[result].type, result)


def derive(parameter: Parameter, op_name: str, *others: Parameter | Recipe | None, **attributes: Any) -> Parameter:
    """`parameter` with op `op_name` applied to it (and to `others`); the name stays, the type is inferred.

    derive(weight, "reshape", axes=(("plain", 8), ("plain", 4), ("plain", 1), ("plain", 1))). Raises InferenceError.
    """
    recipes = [each.recipe if isinstance(each, Parameter) else each for each in (parameter, *others)]
    recipe = compose(op_name, recipes, attributes)
    return replace(parameter, type=recipe.type, recipe=recipe)


def recipe_key(recipe: Recipe | None) -> Hashable:
    """Equal for recipes that give equal values; constants are compared by their bytes."""
    if recipe is None or isinstance(recipe, Source):
        return recipe
    operands = tuple(recipe_key(operand) for operand in recipe.operands)
    return recipe.op, operands, tuple((name, attribute_key(v)) for name, v in recipe.attributes), recipe.result


def attribute_key(value: Any) -> Hashable:
    """A hashable stand-in for an attribute's value, which may be an array."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, (list, tuple)):
        return tuple(attribute_key(each) for each in value)
    # True == 1 == 1.0 in Python, but they are different attributes
    return type(value).__name__, value
