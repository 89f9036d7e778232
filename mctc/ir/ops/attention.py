"""Attention over a band of frames."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np

from mctc.ir.op import FLOATS, REQUIRED, Array, InferenceError, OpDef, Signature, declare
from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.mask import check_mask, mask_along
from mctc.ir.time import POINTWISE, TimeBehaviour, Whole, Window
from mctc.ir.types import Axis, Role, TensorType

LARGEST = 1e4  # magnitude of a score up to which every target's masks outweigh it
ABSENT = -1 / 6  # in a key_mask: a frame before the first one or behind the last
MASKED = -4e4  # finite in fp16: the Neural Engine mishandles -inf in softmax (knowledge: ANE-AT-010)


class OverKeys(OpDef):
    """Base: what a query sees lies along the axis of the keys."""

    masks = True

    @classmethod
    @abstractmethod
    def scores(cls, s: Signature, *operands: Any) -> Array:
        """How well keys suit queries, [..., heads, T, S], before masks."""

    @classmethod
    def outgrown(cls, s: Signature, *operands: Any) -> bool:
        return not bool(np.all(np.abs(cls.scores(s, *operands)) <= LARGEST))

    @classmethod
    def along(cls, s: Signature, role: Role) -> TimeBehaviour:
        return cls.time(s) if s["k"].sequence_role is role else POINTWISE


@declare
class Attention(OverKeys):
    """softmax(scale q k) v; frame t sees frames t-left ... t+right; None means all.

    q [.., T, heads*W]; k [.., S, kv_heads*W]; v [.., S, kv_heads*V]. Each kv head serves heads/kv_heads query heads.
    `scale` is 1 / sqrt(W) unless given.
    With `given`, k and v hold exactly `left` frames before q's first and `right` after its last.
    With `within`, frames are in blocks of so many from the first one, and a frame sees none outside of its own.
    `key_mask` [S] or [batch, S] is 1 where a key exists, 0 where it does not. A query that sees no key at all averages
    over its band, and over keys whose mask is below 0 only if there are no others: a stream marks what is outside of it
    so (ABSENT).
    """

    name = "attention"
    operands = "q k v key_mask?"
    takes = FLOATS
    attributes = {
        "heads": REQUIRED,
        "kv_heads": 0,
        "left": None,
        "right": None,
        "given": False,
        "within": None,
        "scale": None,
    }
    numbers = ("scale",)

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        within = s.limit("within")
        if within == 0 or (within is not None and s.attribute("given")):
            raise InferenceError("a block has at least one frame, and no context of other frames is given")
        return (check_attention(s, s.int("kv_heads") or s.count("heads")),)

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        heads, kv = s.int("heads"), s.int("kv_heads") or s.int("heads")
        v = np.repeat(by_head(s, "v", operands[2], kv), heads // kv, axis=-3)
        return (attended(s, cls.scores(s, *operands), v, operands[3]),)

    @classmethod
    def scores(cls, s: Signature, *operands: Any) -> Array:
        heads, kv = s.int("heads"), s.int("kv_heads") or s.int("heads")
        q, k = (by_head(s, name, a, n) for name, a, n in zip("qk", operands, (heads, kv)))
        return np.asarray(q @ np.swapaxes(np.repeat(k, heads // kv, axis=-3), -1, -2) * scale(s))

    @classmethod
    def number(cls, s: Signature, name: str) -> float:
        return scale(s)

    @classmethod
    def time(cls, s: Signature) -> TimeBehaviour:
        within = s.limit("within")
        if within is None:
            return attention_time(s)
        return Whole(f"it attends within blocks of {within} frames, counted from the first one", ("k", "v"))


def check_attention(s: Signature, kv: int) -> TensorType:
    """The type of the result, with `kv` heads of keys and values. Raises InferenceError where q, k and v don't fit."""
    q, k, v = s["q"], s["k"], s["v"]
    heads = s.count("heads")
    s.limit("left"), s.limit("right")
    if s.attribute("scale") is not None:
        s.float("scale")
    width, at = q.extents[channel_axis(s, "q")].value, channel_axis(s, "q")
    if kv < 1 or width % heads or heads % kv:
        raise InferenceError(f"{width} channels do not divide into {heads} heads ({kv} for keys and values)", "q")
    if k.extents[channel_axis(s, "k")].value != width // heads * kv:
        raise InferenceError(f"k needs {width // heads * kv} channels, not {k.extents[channel_axis(s, 'k')]}", "k")
    if q.sequence is None or k.sequence is None or v.sequence is None:
        raise InferenceError("q, k and v each need a time or label axis")
    if k.extents[k.sequence] != v.extents[v.sequence]:
        raise InferenceError("k and v have different numbers of frames", "v")
    if not same_frames(s) and any(s.attributes.get(name) is not None for name in ("left", "right", "within")):
        told = f"q goes along {q.axes[q.sequence]}, k along {k.axes[k.sequence]}: no entries of k are near one of q"
        hint = "bring both to one rate, or leave `left`, `right` and `within` out: each query then sees every key"
        raise InferenceError(told, "k", hint)
    if v.extents[channel_axis(s, "v")].value % kv:
        raise InferenceError(f"v's channels do not divide into {kv} heads", "v")
    out = v.extents[channel_axis(s, "v")] / kv * heads
    check_mask(s, "key_mask", "k")
    return q.with_axis(at, Axis(Role.CHANNEL, out))


def scale(s: Signature) -> float:
    """The factor of the scores."""
    given = s.attribute("scale")
    return 1 / sqrt(s["q"].extents[channel_axis(s, "q")].value / s.int("heads")) if given is None else float(given)


def same_frames(s: Signature) -> bool:
    """Whether frame t of q and frame t of k are of one moment: both count the same frames, or k brings its context."""
    q, k = s["q"], s["k"]
    assert q.sequence is not None
    assert k.sequence is not None
    return bool(s.attribute("given")) or q.axes[q.sequence] == k.axes[k.sequence]


def attended(s: Signature, scores: Array, v: Array, key_mask: Array | None) -> Array:
    """The values [.., heads, S, V] weighted by the softmax of the scores [.., heads, T, S], laid out as q is."""
    if key_mask is not None:
        sequence, channel = s["k"].sequence, channel_axis(s, "k")
        assert sequence is not None
        marks = np.moveaxis(mask_along(s, "key_mask", "k", key_mask), (sequence, channel), (-1, -2))
        mask = np.expand_dims(marks, -3)  # [.., heads, T, S]
        scores = np.where(mask > 0, scores, np.where(mask < 0, 1.5 * MASKED, MASKED))
    scores = np.where(band(scores.shape[-2], scores.shape[-1], s), scores, 2 * MASKED)  # below keys that are masked
    e = np.exp(scores - scores.max(-1, keepdims=True))
    y = np.moveaxis(e / e.sum(-1, keepdims=True) @ v, -3, -2)  # [..., T, heads, V]
    y = y.reshape(*y.shape[:-2], -1)
    sequence = s["q"].sequence
    assert sequence is not None
    return np.moveaxis(y, (-2, -1), (sequence, channel_axis(s, "q")))


def attention_time(s: Signature) -> TimeBehaviour:
    """A window of `left` and `right` frames over k and v, where both are bounded."""
    left, right = s.attribute("left"), s.attribute("right")
    if s["q"].sequence_role is not s["k"].sequence_role:
        return Whole("it attends over another sequence", ("k", "v"))
    if left is None or right is None:
        side = "before" if left is None else "after"
        reason = f"each frame attends to every frame {side} it; give attention a bounded `left` and `right`"
        return Whole(reason, ("k", "v"), bound="left" if right is not None else None)
    if left == right == 0:
        return POINTWISE
    return Window(left, right, 1, ("k", "v"), (("given", True),), "key_mask")


def band(queries: int, keys: int, s: Signature) -> Array:
    """Which keys each query sees, [queries, keys] of bool."""
    left, right = s.attribute("left"), s.attribute("right")
    offset = np.arange(keys)[None, :] - np.arange(queries)[:, None]
    if s.attribute("given"):
        offset = offset - left
    seen = np.ones((queries, keys), bool)
    if left is not None:
        seen &= offset >= -left
    if right is not None:
        seen &= offset <= right
    within = s.attribute("within") if "within" in s.attributes else None
    if within is not None:
        seen &= np.arange(keys)[None, :] // within == np.arange(queries)[:, None] // within
    return seen


def by_head(s: Signature, name: str, array: Array, heads: int) -> Array:
    """[.., heads, frames, width] of an operand."""
    sequence = s[name].sequence
    assert sequence is not None
    moved = np.moveaxis(array, (sequence, channel_axis(s, name)), (-2, -1))
    return np.moveaxis(moved.reshape(*moved.shape[:-1], heads, -1), -2, -3)
