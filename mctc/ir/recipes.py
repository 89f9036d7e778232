"""Recipes of parameters: an op of the IR composed onto them, with its shape inferred by the op itself."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from math import prod

from mctc.ir.attribute_value import Attributes, AttributeValue, is_array
from mctc.ir.build import make
from mctc.ir.declared import registry
from mctc.ir.dims import Extent
from mctc.ir.location import Origin
from mctc.ir.op import InferenceError
from mctc.ir.ops.shape import Concat, Pad, Reshape, Reverse, Slice, Split, Transpose
from mctc.ir.program import Derived, Parameter, Recipe, Source, Value
from mctc.ir.types import TensorType

MOVING = (Reshape, Transpose, Slice, Pad, Concat, Split, Reverse)
STRUCTURAL = frozenset(op.name for op in MOVING)
"""Ops that move a parameter's entries without changing them."""

KEY = "_key"
"""Where a recipe keeps its key."""


def compose(name: str, operands: Sequence[Recipe | None], attributes: Attributes, result: int = 0) -> Derived:
    """Op `name` applied to recipes; `result` picks one of several results. Raises InferenceError."""
    definition = registry().get(name)
    if definition is None:
        raise InferenceError(f"there is no op named {name}")
    op = make(definition, [None if recipe is None else Value(recipe.type) for recipe in operands], attributes, Origin())
    if not 0 <= result < len(op.results):
        raise InferenceError(f"{name} has {len(op.results)} results, counted from 0, and no result {result}")
    return Derived(name, tuple(operands), tuple(sorted(op.attributes.items())), op.results[result].type, result)


def with_recipe(parameter: Parameter, name: str, recipe: Recipe) -> Parameter:
    """`parameter` under another name and recipe that continues its own; its quantisation follows the channels.

    Raises InferenceError when the output channels of a quantised parameter lie along no one axis any more.
    """
    if recipe is parameter.recipe and name == parameter.name:
        return parameter
    quantization = parameter.quantization
    if quantization is not None:
        quantization = replace(quantization, axis=_channels_after(recipe, parameter.recipe, quantization.axis))
    return replace(parameter, name=name, type=recipe.type, recipe=recipe, quantization=quantization)


def _channels_after(recipe: Recipe, start: Recipe, axis: int) -> int:
    """Where the axis `axis` of the recipe `start` lies at the end of `recipe`, which continues it."""
    if not isinstance(recipe, Derived) or recipe_key(recipe) == recipe_key(start):
        return axis
    main = recipe.operands[0]
    before = axis if main is None else _channels_after(main, start, axis)
    if recipe.op == Transpose.name:
        return Transpose((), dict(recipe.attributes), Origin()).order.index(before)
    if recipe.op == Reshape.name and main is not None:
        return _reshaped(main.type, recipe.type, before)
    return before


def _reshaped(old: TensorType, new: TensorType, axis: int) -> int:
    """The axis of `new` that holds the entries of `axis` in `old`: as many entries after it, and of its extent."""
    for index, extent in enumerate(new.shape):
        if extent == old.shape[axis] and prod(new.shape[index + 1 :]) == prod(old.shape[axis + 1 :]):
            return index
    raise InferenceError(f"the output channels of {old} lie along no one axis of {new}, but their scales must")


def simplified(recipe: Recipe) -> Recipe:
    """A recipe of the same value without reshapes that cancel out: a table that was a kernel for a while is a table."""
    if isinstance(recipe, Source):
        return recipe
    operands = tuple(None if each is None else simplified(each) for each in recipe.operands)
    recipe, main = replace(recipe, operands=operands), operands[0] if operands else None
    inner = main.operands[0] if isinstance(main, Derived) and main.op == Reshape.name else None
    if recipe.op == Reshape.name and inner is not None:
        return simplified(replace(recipe, operands=(inner,)))
    if recipe.op == Reshape.name and main is not None:
        return main if main.type == recipe.type else recipe
    axis = dict(recipe.attributes).get("axis")
    appended = main is not None and inner is not None and main.type.axes[: inner.type.rank] == inner.type.axes
    if (
        recipe.op in (Pad.name, Slice.name)
        and appended
        and inner is not None
        and isinstance(axis, int)
        and axis < inner.type.rank
    ):
        first = compose(recipe.op, (inner,), dict(recipe.attributes))
        units = recipe.type.axes[inner.type.rank :]
        if recipe.type.axes == (*first.type.axes, *units) and all(unit.extent == Extent.of(1) for unit in units):
            return Derived(Reshape.name, (first,), (("axes", axes_of(recipe.type)),), recipe.type)
    return recipe


def axes_of(type_: TensorType) -> tuple[tuple[str, int], ...]:
    """What a reshape to a static type states."""
    return tuple((axis.role.value, axis.extent.value) for axis in type_.axes)


def leaves(recipe: Recipe) -> Iterable[Source]:
    """The checkpoint tensors that a recipe reads."""
    if isinstance(recipe, Source):
        yield recipe
        return
    for operand in recipe.operands:
        if operand is not None:
            yield from leaves(operand)


def recipe_key(recipe: Recipe | None) -> Hashable:
    """Equal for recipes that give equal values; constants are compared by their bytes.

    Every pass that folds asks for the keys of all parameters: those without a constant's bytes in them stay with their
    recipes.
    """
    if recipe is None or isinstance(recipe, Source):
        return recipe
    known: Hashable = vars(recipe).get(KEY)
    if known is not None:
        return known
    operands = tuple([recipe_key(operand) for operand in recipe.operands])
    key = recipe.op, operands, tuple([(name, attribute_key(v)) for name, v in recipe.attributes]), recipe.result
    if not any(is_array(value) for _, value in recipe.attributes) and all(
        not isinstance(operand, Derived) or KEY in vars(operand) for operand in recipe.operands
    ):
        vars(recipe)[KEY] = key
    return key


def attribute_key(value: AttributeValue) -> Hashable:
    """A hashable stand-in for an attribute's value, which may be an array."""
    if is_array(value):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, (list, tuple)):
        return tuple([attribute_key(each) for each in value])
    # True == 1 == 1.0 in Python, but they are different attributes
    return type(value).__name__, value
