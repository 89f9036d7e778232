"""Shapes of a tensor behind what all its uses begin with, such as a cut: a checkpoint may hold it in one of them.

A pass that folds a norm into a convolution joins several tensors of a pruned model in one parameter. The parameter's
own shapes then say nothing of the norm's, but every use of those still begins with the same slice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mctc.ir.program import Derived, Parameter, Recipe, Source
from mctc.ir.recipes import recipe_key

Shape = tuple[int, ...]
Moved = Callable[[Recipe], Source | None]


def late_shapes(parameters: Iterable[Parameter], name: str, moved: Moved) -> set[Shape]:
    """Of the tensor of that name. None of them is of a part that some uses alone read, as the gates of a cell are.

    moved: the one tensor whose entries a recipe moves about, None of one that does more
    (mctc.recipe_values.rearranged).
    """
    common: dict[object, Shape] | None = None
    for parameter in parameters:
        for way in _ways(parameter.recipe, name, moved):
            here: dict[object, Shape] = {recipe_key(each): each.type.shape for each in way}
            common = here if common is None else {key: shape for key, shape in common.items() if key in here}
    return set((common or {}).values())


def _ways(recipe: Recipe, name: str, moved: Moved) -> Iterator[list[Derived]]:
    """Of each use of a tensor, what moves its entries about and nothing else, from the tensor on."""
    if not isinstance(recipe, Derived):
        if recipe.name == name:
            yield []
        return
    alone = [recipe] if moved(recipe) is not None else []
    for operand in recipe.operands:
        if operand is not None:
            for way in _ways(operand, name, moved):
                yield way + alone
