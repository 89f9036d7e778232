"""Attention over a band of frames."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence
from math import isfinite, sqrt

import numpy as np

from mctc.ir.example import Example, X
from mctc.ir.fields import Attribute, count, flag, limit, mask_operand, number_or_none, operand, optional_operand, whole
from mctc.ir.op import FLOATS, Array, InferenceError, Op, declare
from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.mask import check_mask, mask_along
from mctc.ir.time import POINTWISE, TimeBehaviour, Whole, Window
from mctc.ir.types import Axis, Role, TensorType
from mctc.ir.value import Value

LARGEST = 1e4  # magnitude of a score up to which every target's masks outweigh it
ABSENT = -1 / 6  # in a key_mask: a frame before the first one or behind the last
MASKED = -4e4  # finite in fp16: the Neural Engine mishandles -inf in softmax (knowledge: ANE-AT-010)


class OverKeys(Op):
    """Base: what a query sees lies along the axis of the keys."""

    q = operand()
    k = operand()
    v = operand()
    masks = True
    takes = FLOATS
    heads: Attribute[int]
    left: Attribute[int | None]
    right: Attribute[int | None]
    given: Attribute[bool]
    within: Attribute[int | None]
    before: Attribute[int]
    scale: Attribute[float | None]

    @abstractmethod
    def scores(self, *operands: Array) -> Array:
        """How well keys suit queries, [..., heads, T, S], before masks."""

    def outgrown(self, *operands: Array) -> bool:
        return not bool(np.all(np.abs(self.scores(*operands)) <= LARGEST))

    def number(self, name: str) -> float:
        return self.factor

    @property
    def keys(self) -> int:
        """How many keys there are, of static types."""
        assert self.k.type.sequence is not None
        return self.k.type.shape[self.k.type.sequence]

    def padded(self, read: Collection[int] | None = None, *, whole: bool = True) -> Value | None:
        """The keys, unless a query sees none behind its own frame."""
        query, key = self.q.type, self.k.type
        crosses = query.axes[query.sequence or 0].role is not key.axes[key.sequence or 0].role
        return self.k if crosses or self.right != 0 else None

    def behaviour_along(self, role: Role) -> TimeBehaviour:
        return self.behaviour() if self.k.type.sequence_role is role else POINTWISE

    @property
    def key_heads(self) -> int:
        """Heads of keys and values."""
        return self.heads

    @property
    def first_key(self) -> int:
        """How many frames before the first query the first key stands."""
        context = (self.left or 0) if self.within is None else self.before
        return context if self.given else 0

    @property
    def factor(self) -> float:
        """The factor of the scores."""
        width = self.q.type.extents[channel_axis(self.q.type, "q")].value
        return 1 / sqrt(width / self.heads) if self.scale is None else self.scale

    @property
    def same_frames(self) -> bool:
        """Whether frame t of q and frame t of k are of one moment: both count alike, or k brings its context."""
        q, k = self.q.type, self.k.type
        assert q.sequence is not None
        assert k.sequence is not None
        return self.given or q.axes[q.sequence] == k.axes[k.sequence]

    def result_type(self, kv: int) -> TensorType:
        """With `kv` heads of keys and values. Raises InferenceError where q, k and v don't fit."""
        q, k, v, heads = self.q.type, self.k.type, self.v.type, self.heads
        self._check_blocks()
        bounded = any(bound is not None for bound in (self.left, self.right, self.within))
        at = channel_axis(q, "q")
        width, factor = q.extents[at].value, self.factor
        if not isfinite(factor) or kv < 1 or width % heads or heads % kv:
            raise InferenceError(f"{width} channels do not divide into {heads} heads ({kv} for keys and values)", "q")
        have = k.extents[channel_axis(k, "k")]
        if have.value != width // heads * kv:
            raise InferenceError(f"k needs {width // heads * kv} channels, not {have}", "k")
        if q.sequence is None or k.sequence is None or v.sequence is None:
            raise InferenceError("q, k and v each need a time or label axis")
        if k.extents[k.sequence] != v.extents[v.sequence]:
            raise InferenceError("k and v have different numbers of frames", "v")
        if not self.same_frames and bounded:
            told = f"q goes along {q.axes[q.sequence]}, k along {k.axes[k.sequence]}: no entries of k are near one of q"
            hint = "bring both to one rate, or leave `left`, `right` and `within` out: each query then sees every key"
            raise InferenceError(told, "k", hint)
        values = v.extents[channel_axis(v, "v")]
        if values.value % kv:
            raise InferenceError(f"v's channels do not divide into {kv} heads", "v")
        check_mask(self.operand("key_mask"), k, "key_mask")
        return q.with_axis(at, Axis(Role.CHANNEL, values / kv * heads))

    def _check_blocks(self) -> None:
        if self.within == 0 or self.before < 0:
            raise InferenceError("a block has at least one frame, and `before` counts frames before it")
        if self.within is None and self.before:
            raise InferenceError(
                "`before` counts frames before a block", hint="give the frames of a block: `within = ...`"
            )
        if self.within is not None:
            for name, bound, most in (
                ("left", self.left, self.within - 1 + self.before),
                ("right", self.right, self.within - 1),
            ):
                if bound is not None and bound > most:
                    told = (
                        f"`{name} = {bound}` says nothing: in blocks of {self.within} frames none sees more than {most}"
                    )
                    raise InferenceError(told, hint="frames in front of a block are seen by `before`")
        if self.within is not None and self.given and not self.before:
            raise InferenceError("blocks that see nothing before them take no context of other frames")

    def behaviour(self) -> TimeBehaviour:
        """Of blocks, or a window of `left` and `right` frames over k and v, where both are bounded."""
        left, right, within = self.left, self.right, self.within
        if within is not None:
            told = f"it attends within blocks of {within} frames, counted from the first one; give calls whole blocks"
            return Whole(told, ("k", "v"), block=within, before=self.before, mask="key_mask")
        if self.q.type.sequence_role is not self.k.type.sequence_role:
            return Whole("it attends over another sequence", ("k", "v"))
        if left is None or right is None:
            side = "before" if left is None else "after"
            reason = f"each frame attends to every frame {side} it; give attention a bounded `left` and `right`"
            return Whole(reason, ("k", "v"), bound="left" if right is not None else None)
        if left == right == 0:
            return POINTWISE
        return Window(left, right, 1, ("k", "v"), (("given", True),), "key_mask")

    @property
    def distances(self) -> int | None:
        """How many frames the band is wide, None where it has no end."""
        if self.within is not None:
            return 2 * self.within - 1 + self.before
        return None if self.left is None or self.right is None else self.left + self.right + 1

    def check_distances(self, count: int, name: str) -> None:
        """Raises InferenceError where so many entries of an operand are not those of the band's distances."""
        if not self.same_frames:
            raise InferenceError("frames of different sequences or rates have no distance", name)
        wanted = self.distances
        if wanted is not None and count != wanted:
            raise InferenceError(f"a band of {wanted} frames has {wanted} distances, not {count}", name)
        if self.left is None and self.right is None and wanted is None and count % 2 == 0:
            told = f"{count} distances have no middle, which is distance 0"
            raise InferenceError(told, name, hint="give an odd number, from -n to n")

    def first_distance(self, count: int) -> int:
        """What entry 0 of `count` by distance is of: how many frames a key stands behind its query."""
        if self.within is not None:
            return 1 - self.within - self.before
        if self.left is not None:
            return -self.left
        return -(count // 2) if self.right is None else self.right + 1 - count

    def band(self, queries: int, keys: int) -> Array:
        """Which keys each query sees, [queries, keys] of bool."""
        left, right, within = self.left, self.right, self.within
        query, key = np.arange(queries)[:, None], np.arange(keys)[None, :] - self.first_key
        offset = key - query
        seen = np.ones((queries, keys), bool)
        if left is not None:
            seen &= offset >= -left
        if right is not None:
            seen &= offset <= right
        if within is not None:
            begin = query // within * within
            seen &= (key >= begin - self.before) & (key < begin + within)
        return seen

    def attended(self, scores: Array, v: Array, key_mask: Array | None) -> Array:
        """The values [.., heads, S, V] weighted by the softmax of the scores [.., heads, T, S], laid out as q is."""
        told = self.operand("key_mask")
        if key_mask is not None and told is not None:
            k = self.k.type
            assert k.sequence is not None
            along = mask_along(told.type, k, key_mask)
            marks = np.moveaxis(along, (k.sequence, channel_axis(k, "k")), (-1, -2))
            mask = np.expand_dims(marks, -3)  # [.., heads, T, S]
            scores = np.where(mask > 0, scores, np.where(mask < 0, 1.5 * MASKED, MASKED))
        seen = self.band(scores.shape[-2], scores.shape[-1])
        scores = np.where(seen, scores, 2 * MASKED)  # below keys that are masked
        e = np.exp(scores - scores.max(-1, keepdims=True))
        y = np.moveaxis(e / e.sum(-1, keepdims=True) @ v, -3, -2)  # [..., T, heads, V]
        y = y.reshape(*y.shape[:-2], -1)
        q = self.q.type
        assert q.sequence is not None
        return np.moveaxis(y, (-2, -1), (q.sequence, channel_axis(q, "q")))


def by_head(type_: TensorType, array: Array, heads: int) -> Array:
    """[.., heads, frames, width] of an operand of `type_`."""
    assert type_.sequence is not None
    moved = np.moveaxis(array, (type_.sequence, channel_axis(type_)), (-2, -1))
    return np.moveaxis(moved.reshape(*moved.shape[:-1], heads, -1), -2, -3)


@declare
class Attention(OverKeys):
    """softmax(scale q k) v; frame t sees frames t-left ... t+right; None means all.

    q [.., T, heads*W]; k [.., S, kv_heads*W]; v [.., S, kv_heads*V]. Each kv head serves heads/kv_heads query heads.
    `scale` is 1 / sqrt(W) unless given.
    With `given`, k and v hold exactly `left` frames before q's first and `right` after its last.
    With `within`, frames are in blocks of so many from the first one, and a frame sees none outside of its own but the
    `before` frames in front of it: chunks with left context. With `given`, k and v then begin with those.
    `key_mask` [S] or [batch, S] is 1 where a key exists, 0 where it does not. A query that sees no key at all averages
    over its band, and over keys whose mask is below 0 only if there are no others: a stream marks what is outside of
    it so (ABSENT).
    `bias` [heads, D] is added to the scaled scores by distance. Where the band is bounded D is its width, and entry 0
    is of its earliest key; where one side of it is open, the outermost entry there counts for all keys beyond; where
    both are, D is odd and its middle is distance 0. Or it is [heads, within, before + within], by places: of a query in
    its block, and of a key from the first that the block sees. Either may be of one head, for all.
    """

    name = "attention"
    example = Example(
        {"x": X, "b": "f32[2, 3]"},
        (
            "attention(%x, %x, %x, heads = 2, left = 16, right = 0)",
            "attention(%x, %x, %x, heads = 2)",
            "attention(%x, %x, %x, heads = 2, within = 100)",
            "attention(%x, %x, %x, heads = 2, within = 4, before = 6)",
            "attention(%x, %x, %x, none, %b, heads = 2, left = 2, right = 0)",
        ),
    )
    key_mask = mask_operand()
    bias = optional_operand()
    heads = count()
    kv_heads = whole(0)
    left = limit()
    right = limit()
    given = flag()
    within = limit()
    scale = number_or_none()
    before = whole(0)
    numbers = ("scale",)

    @property
    def key_heads(self) -> int:
        """Heads of keys and values."""
        return self.kv_heads or self.heads

    def infer(self) -> Sequence[TensorType]:
        result = self.result_type(self.key_heads)
        if self.bias is not None:
            self._check_bias(self.bias.type)
        return (result,)

    def _check_bias(self, bias: TensorType) -> None:
        if bias.rank not in (2, 3) or not bias.is_static or bias.shape[0] not in (1, self.heads):
            raise InferenceError(f"bias is [heads, distances], [{self.heads}, ...], not {bias}", "bias")
        if bias.rank == 3:
            block = None if self.within is None else (self.within, self.before + self.within)
            if bias.shape[1:] != block:
                told = "no blocks, so no places in them" if block is None else f"places are {list(block)}, not {bias}"
                raise InferenceError(f"bias by places: {told}", "bias")
            return
        self.check_distances(bias.shape[1], "bias")

    def bias_places(self, queries: int, keys: int) -> Array:
        """The entry of a head's bias of each query and key, [queries, keys]."""
        assert self.bias is not None
        query, key = np.arange(queries)[:, None], np.arange(keys)[None, :] - self.first_key
        last = self.bias.type.shape[-1] - 1
        if self.bias.type.rank == 2 or self.within is None:
            return np.asarray(np.clip(key - query - self.first_distance(last + 1), 0, last))
        place, begin = query % self.within, query // self.within * self.within - self.before
        return np.asarray(place * (last + 1) + np.clip(key - begin, 0, last))

    def reference(self, q: Array, k: Array, v: Array, key_mask: Array | None, bias: Array | None) -> Sequence[Array]:
        values = np.repeat(by_head(self.v.type, v, self.key_heads), self.heads // self.key_heads, axis=-3)
        scores = self.scores(q, k) if bias is None else self.scores(q, k, bias)
        return (self.attended(scores, values, key_mask),)

    def scores(self, *operands: Array) -> Array:
        queries = by_head(self.q.type, operands[0], self.heads)
        keys = np.repeat(by_head(self.k.type, operands[1], self.key_heads), self.heads // self.key_heads, axis=-3)
        scores = np.asarray(queries @ np.swapaxes(keys, -1, -2) * self.factor)
        if self.bias is None:
            return scores
        bias = operands[-1].reshape(len(operands[-1]), -1)
        return np.asarray(scores + bias[:, self.bias_places(*scores.shape[-2:])])

    def macs(self) -> int:
        """Scores of all pairs, and sums of values by them; query heads that share keys count one by one."""
        return self.keys * (self.q.type.size + self.result.type.size)
