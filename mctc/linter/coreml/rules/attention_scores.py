"""Attention that is written out: what its scores look like."""

from __future__ import annotations

from mctc.linter.coreml.forms import axis as softmax_axis
from mctc.linter.coreml.graph import Op, Shape, size_of
from mctc.linter.coreml.rules.attention_masks import SCORES
from mctc.linter.coreml.trace import before
from mctc.records import dataclass

FUSED = "scaled_dot_product_attention"


def length(shape: Shape | None) -> int | None:
    return shape[-2] if shape is not None and len(shape) >= 2 else None


@dataclass(frozen=True)
class Scores:
    """What a softmax or a fused attention works on. shape: as it is laid out; heads: batches included."""

    shape: Shape
    heads: int | None
    queries: int | None
    keys: int | None


def scores_of(op: Op) -> Scores | None:
    """The scores of an attention; None where this is none, or in a layout that isn't known."""
    if op.type == FUSED:
        query, keys = op.shape("query"), length(op.shape("key"))
        if query is None or len(query) < 2:
            return None
        return Scores((*query[:-1], keys), product(query[:-2]), query[-2], keys)
    shape, axis = op.shape("x"), softmax_axis(op, -1)
    if shape is None or len(shape) < 2 or not is_attention(op):
        return None
    if axis == len(shape) - 1:
        return Scores(shape, product(shape[:-2]), shape[-2], shape[-1])
    if axis == len(shape) - 2:
        return Scores(shape, product(shape[:-2]), shape[-1], shape[-2])
    if axis == 1 and len(shape) == 4:  # batch, keys, head, queries: Apple's layout of transformers
        return Scores(shape, product((shape[0], shape[2])), shape[3], shape[1])
    return None


def product(extents: Shape) -> int | None:
    known = [extent for extent in extents if extent is not None]
    return size_of(known) if len(known) == len(extents) else None


def is_attention(op: Op) -> bool:
    """Whether a softmax is over products; a softmax of class scores comes from a linear or a conv."""
    return op.type == FUSED or any(each.type in ("matmul", "einsum") for each in before(op, SCORES))
