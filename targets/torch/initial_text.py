"""How a parameter starts, as text that runtime/initial.py understands."""

from __future__ import annotations

from mctc.ir.attribute_value import Attributes
from mctc.ir.program import Derived, Initializer, Recipe, Source
from mctc.passes.pad_vocabulary import MULTIPLE
from mctc.targets.torch.expressions import UnsupportedError
from mctc.targets.torch.expressions.text import call, literal, named, number
from mctc.targets.torch.imports import HOMES

# Ops of a recipe that leave a tensor distributed as its source is: they regroup, reorder or select its entries.
REGROUPING = frozenset({"reshape", "transpose", "slice", "split", "reverse"})


def initial_text(initializer: Initializer, recipe: Recipe) -> str:
    """`padded(kaiming_uniform(fan_in=256), axis=0, after=23)`: a source's rule, and what passes made of the tensor.

    Raises UnsupportedError for a recipe that computes, which no rule can start, and for entries that a spec fills up
    with: held as entries of the tensor they would be trained.
    """
    if not isinstance(recipe, Source) and recipe.op == "pad" and _adds_classes(recipe):
        inner = recipe.operands[0]
        assert inner is not None, "pad has an operand"
        return _padded(_moved_text(initializer, inner), dict(recipe.attributes))
    return _moved_text(initializer, recipe)


def _adds_classes(recipe: Derived) -> bool:
    """Whether it adds the rows of classes that no token has, which no loss reads (passes/pad_vocabulary.py)."""
    attributes, rows = dict(recipe.attributes), recipe.type.extents[0]
    return attributes["axis"] == 0 and not attributes.get("before", 0) and rows.value % MULTIPLE == 0


def _moved_text(initializer: Initializer, recipe: Recipe) -> str:
    if isinstance(recipe, Source):
        return rule_text(initializer)
    inner = recipe.operands[0]
    if inner is not None and recipe.op in REGROUPING and _regroups(initializer, recipe):
        return _moved_text(initializer, inner)
    if recipe.op == "concat":
        texts = {_moved_text(initializer, each) for each in recipe.operands if each is not None}
        if len(texts) == 1:  # parts of one tensor that start alike
            return texts.pop()
    raise UnsupportedError(
        f"no initial values are known for a parameter that is {recipe.op} of the checkpoint's tensors"
    )


def start_is_known(initializer: Initializer, recipe: Recipe) -> bool:
    """Whether a tensor can start in the shape that a recipe leaves it in."""
    try:
        initial_text(initializer, recipe)
    except UnsupportedError:
        return False
    return True


def rule_text(initializer: Initializer) -> str:
    """`uniform(0.0625)`, `kaiming_uniform(fan_in=256)`, `zeros()`."""
    if initializer.rule not in HOMES["initial"]:
        raise UnsupportedError(f"there is no initialiser {initializer.rule!r}")
    arguments = dict(initializer.arguments)
    if initializer.rule in ("uniform", "constant") and len(arguments) == 1:  # one number that needs no name
        return call(named(initializer.rule), number(next(iter(arguments.values())))).text
    return call(named(initializer.rule), **{name: number(value) for name, value in sorted(arguments.items())}).text


def _regroups(initializer: Initializer, recipe: Derived) -> bool:
    """A rule along the last axis stands only where that axis stays or its first entries do, one for rows only where
    rows stay whole."""
    (inner,) = (operand for operand in recipe.operands if operand is not None)
    if initializer.rule == "orthogonal":
        return recipe.op == "reshape" and inner.type.extents[:1] == recipe.type.extents[:1]
    if initializer.rule == "log_arange" and recipe.op == "reverse":
        return False
    first = recipe.op == "slice" and not dict(recipe.attributes)["begin"] and dict(recipe.attributes)["stride"] == 1
    return initializer.rule != "log_arange" or first or inner.type.extents[-1:] == recipe.type.extents[-1:]


def _padded(inner: str, attributes: Attributes) -> str:
    value = attributes.get("value", 0.0)
    assert isinstance(value, (int, float)), "pad declares a number"
    stated = f", value={number(value).text}" if value else ""
    return f"padded({inner}, axis={literal(attributes['axis'])}, after={literal(attributes['after'])}{stated})"
