"""Attention with relative positions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mctc.ir.example import Example, X
from mctc.ir.fields import count, flag, limit, mask_operand, number_or_none, operand, optional_operand, whole
from mctc.ir.op import Array, InferenceError, declare
from mctc.ir.ops.attention import OverKeys, by_head
from mctc.ir.ops.linear import channel_axis
from mctc.ir.types import TensorType

LONGEST_PERIOD = 1e4  # of the sinusoids, in units of 2 pi frames (Vaswani et al., 2017)


def frequencies(width: int) -> Array:
    """Radians a frame of each pair of sine and cosine, [width / 2]."""
    return LONGEST_PERIOD ** (-np.arange(0, width, 2) / width)


@declare
class RelativeAttention(OverKeys):
    """softmax(scale ((q + u) k + (q + w) P r(t - s))) v: scores by content and by distance, Dai et al. (2019).

    q, k, v, `key_mask`, `left`, `right`, `within`, `before` and `given` as for `attention`. position P [heads*W, E]
    projects the sinusoids r(d) = sin(d f_0), cos(d f_0), sin(d f_1), ... with f_i = 10000^(-2i/E); content_bias u and
    position_bias w are [heads*W]. `scale` is 1 / sqrt(W) unless given. With `symmetric`, r takes the absolute distance.
    `table` [D, E] has other vectors r in place of the sinusoids, of the distances that a bias of `attention` has.
    """

    name = "relative_attention"
    example = Example(
        {"x": X, "p": "f32[8, 8]", "u": "f32[8]", "w": "f32[8]", "r": "f32[4, 8]"},
        (
            "relative_attention(%x, %x, %x, %p, %u, %w, heads = 2)",
            "relative_attention(%x, %x, %x, %p, %u, %w, none, %r, heads = 2, left = 2, right = 1)",
        ),
    )
    position = operand()
    content_bias = operand()
    position_bias = operand()
    key_mask = mask_operand()
    table = optional_operand()
    heads = count()
    left = limit()
    right = limit()
    given = flag()
    scale = number_or_none()
    symmetric = flag()
    within = limit()
    before = whole(0)
    numbers = ("scale",)

    def infer(self) -> Sequence[TensorType]:
        result = self.result_type(self.heads)
        channels, position = self.q.type.extents[channel_axis(self.q.type, "q")], self.position.type
        width = channels.value
        if not self.same_frames:
            raise InferenceError("frames of different sequences or rates have no distance; use attention", "k")
        if self.table is not None:
            self._check_table(self.table.type)
        odd = self.table is None and position.rank == 2 and position.extents[1].value % 2
        if position.rank != 2 or position.extents[0].value != width or odd:
            raise InferenceError(
                f"the projection of positions must be [{width}, an even number], not {position}", "position"
            )
        for name, bias in (("content_bias", self.content_bias.type), ("position_bias", self.position_bias.type)):
            if bias.extents != (channels,):
                raise InferenceError(f"{name} must be [{width}], not {bias}", name)
        return (result,)

    def reference(
        self,
        q: Array,
        k: Array,
        v: Array,
        position: Array,
        content_bias: Array,
        position_bias: Array,
        key_mask: Array | None,
        table: Array | None,
    ) -> Sequence[Array]:
        more = [] if table is None else [table]
        scores = self.scores(q, k, v, position, content_bias, position_bias, *more)
        return (self.attended(scores, by_head(self.v.type, v, self.heads), key_mask),)

    def scores(self, *operands: Array) -> Array:
        heads = self.heads
        q, k = (by_head(type_, a, heads) for type_, a in zip((self.q.type, self.k.type), operands))
        content_bias, position_bias = (np.reshape(a, (heads, 1, -1)) for a in operands[4:6])
        queries, keys = np.arange(q.shape[-2])[:, None], np.arange(k.shape[-2])
        distances = queries - keys + self.first_key
        rows = (
            self.sinusoids(distances) if self.table is None else operands[-1][self.table_rows(distances)]
        )  # [T, S, E]
        projected = np.einsum("hwe,tse->htsw", operands[3].reshape(heads, -1, rows.shape[-1]), rows)
        by_content = (q + content_bias) @ np.swapaxes(k, -1, -2)
        by_distance = np.einsum("...htw,htsw->...hts", q + position_bias, projected)
        return np.asarray((by_content + by_distance) * self.factor)

    def macs(self) -> int:
        """Scores by content and by distance, and the sums; the projected sinusoids are constants of the weights."""
        return self.keys * (2 * self.q.type.size + self.result.type.size)

    def _check_table(self, table: TensorType) -> None:
        wanted = self.position.type.extents[-1]
        if table.rank != 2 or not table.is_static or table.extents[1] != wanted:
            raise InferenceError(f"the table must be [distances, {wanted}], not {table}", "table")
        if self.symmetric:
            raise InferenceError("a table has a row for each distance: `symmetric` says nothing", "table")
        self.check_distances(table.shape[0], "table")

    def table_rows(self, distances: Array) -> Array:
        """The rows of the table of distances from the key to the query."""
        assert self.table is not None
        count = self.table.type.shape[0]
        return np.asarray(np.clip(-distances - self.first_distance(count), 0, count - 1))

    def sinusoids(self, distances: Array) -> Array:
        """r(d) for whole distances in frames: [..., E], sine and cosine in turns."""
        along = np.abs(distances) if self.symmetric else distances
        angles = along[..., None] * frequencies(self.position.type.shape[1])
        return np.stack([np.sin(angles), np.cos(angles)], -1).reshape(*np.shape(distances), -1)
