"""Attention with relative positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mctc.ir.op import FLOATS, REQUIRED, Array, InferenceError, Signature, declare
from mctc.ir.ops.attention import (
    OverKeys,
    attended,
    attention_time,
    by_head,
    check_attention,
    same_frames,
    scale,
)
from mctc.ir.ops.linear import channel_axis
from mctc.ir.time import TimeBehaviour
from mctc.ir.types import TensorType

LONGEST_PERIOD = 1e4  # of the sinusoids, in units of 2 pi frames (Vaswani et al., 2017)


@declare
class RelativeAttention(OverKeys):
    """softmax(scale ((q + u) k + (q + w) P r(t - s))) v: scores by content and by distance, Dai et al. (2019).

    q, k, v, `key_mask`, `left`, `right` and `given` as for `attention`. position P [heads*W, E] projects the sinusoids
    r(d) = sin(d f_0), cos(d f_0), sin(d f_1), ... with f_i = 10000^(-2i/E); content_bias u and position_bias w are
    [heads*W]. `scale` is 1 / sqrt(W) unless given. With `symmetric`, r takes the absolute distance.
    """

    name = "relative_attention"
    operands = "q k v position content_bias position_bias key_mask?"
    takes = FLOATS
    attributes = {
        "heads": REQUIRED,
        "left": None,
        "right": None,
        "given": False,
        "scale": None,
        "symmetric": False,
    }
    numbers = ("scale",)

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        result = check_attention(s, s.count("heads"))
        q, position = s["q"], s["position"]
        width = q.extents[channel_axis(s, "q")].value
        if not same_frames(s):
            raise InferenceError("frames of different sequences or rates have no distance; use attention", "k")
        if position.rank != 2 or position.extents[0].value != width or position.extents[1].value % 2:
            raise InferenceError(
                f"the projection of positions must be [{width}, an even number], not {position}", "position"
            )
        for name in ("content_bias", "position_bias"):
            if s[name].extents != (q.extents[channel_axis(s, "q")],):
                raise InferenceError(f"{name} must be [{width}], not {s[name]}", name)
        return (result,)

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        v = by_head(s, "v", operands[2], s.int("heads"))
        return (attended(s, cls.scores(s, *operands), v, operands[6]),)

    @classmethod
    def scores(cls, s: Signature, *operands: Any) -> Array:
        heads = s.int("heads")
        q, k = (by_head(s, name, a, heads) for name, a in zip("qk", operands))
        content_bias, position_bias = (np.reshape(a, (heads, 1, -1)) for a in operands[4:6])
        queries, keys = np.arange(q.shape[-2])[:, None], np.arange(k.shape[-2])
        rows = sinusoids(queries - keys + first_key(s), s)  # [T, S, E]
        projected = np.einsum("hwe,tse->htsw", operands[3].reshape(heads, -1, rows.shape[-1]), rows)
        by_content = (q + content_bias) @ np.swapaxes(k, -1, -2)
        by_distance = np.einsum("...htw,htsw->...hts", q + position_bias, projected)
        return np.asarray((by_content + by_distance) * scale(s))

    @classmethod
    def number(cls, s: Signature, name: str) -> float:
        return scale(s)

    @classmethod
    def time(cls, s: Signature) -> TimeBehaviour:
        return attention_time(s)


def first_key(s: Signature) -> int:
    """How many frames before the first query the first key stands."""
    return int(s.attribute("left") or 0) if s.attribute("given") else 0


def frequencies(width: int) -> Array:
    """Radians a frame of each pair of sine and cosine, [width / 2]."""
    return LONGEST_PERIOD ** (-np.arange(0, width, 2) / width)


def sinusoids(distances: Array, s: Signature) -> Array:
    """r(d) for whole distances in frames: [..., E], sine and cosine in turns."""
    angles = (np.abs(distances) if s.attribute("symmetric") else distances)[..., None] * frequencies(
        s["position"].shape[1]
    )
    return np.stack([np.sin(angles), np.cos(angles)], -1).reshape(*np.shape(distances), -1)
