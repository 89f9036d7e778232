"""Attention over a fixed number of frames as two matrix products and a softmax for all heads."""

from __future__ import annotations

from math import sqrt

import numpy as np

from mctc.ir.ops.attention import band
from mctc.ir.ops.shape import laid_out
from mctc.ir.program import Op, Program, Value
from mctc.ir.types import TensorType
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.rewriter import Rewriter, rewrite

# Finite in fp16 and below where the engine's accumulator saturates (ANE-AT-010, ANE-NM-003).
SEEN = 3e4
MISSING = -1.5e4  # a key in the band that does not exist
OUTSIDE = -3e4  # below MISSING: a query whose keys are all missing averages over its band only


class LowerAttention(Pass):
    """Attention over static frames: heads beside each other in rank 4, no transpose, masks without -inf.

    A score that must not count is capped far below the others (`minimum` with a constant), so its exponential is 0.
    """

    name = "lower-attention"
    promise = Exact()
    stage = "deploy"
    before = ("pack-states",)

    def run(self, program: Program, context: Context) -> Program:
        def rule(op: Op, rewriter: Rewriter) -> Value | None:
            if op.name != "attention" or not all(_static_row(v.type) for v in op.operands[:3] if v is not None):
                return None
            return _Attention(op, rewriter).run()

        return rewrite(program, self.name, rule)


def _static_row(type_: TensorType) -> bool:
    """Whether a type is (batch, channel, unit, frames), all known."""
    return laid_out(type_) and type_.rank == 4 and type_.is_static and type_.shape[2] == 1 and type_.sequence == 3


class _Attention:
    """One attention op while it is lowered: q [b, h*W, 1, T], k [b, g*W, 1, S], v [b, g*V, 1, S]; h heads share g."""

    def __init__(self, op: Op, rewriter: Rewriter) -> None:
        self.op, self.rewriter = op, rewriter
        self.heads = op.attributes["heads"]
        self.kv_heads = op.attributes["kv_heads"] or self.heads
        q, k, v, mask = (rewriter.named(op, name) for name in ("q", "k", "v", "key_mask"))
        assert q is not None
        assert k is not None
        assert v is not None
        self.q, self.k, self.v, self.mask = q, k, v, mask
        self.queries, self.keys = q.type.shape[3], k.type.shape[3]

    def run(self) -> Value:
        emit = self.rewriter.op
        role = self.q.type.axes[3].role.value
        width = self.q.type.shape[1] // self.heads
        q = self._by_head(emit("scale", self.q, factor=1 / sqrt(width)), self.heads, role)
        k = self._repeated(self._by_head(self.k, self.kv_heads, "unit"))
        v = self._repeated(self._by_head(self.v, self.kv_heads, "unit"))
        scores = emit("matmul", q, k, transpose_left=True)  # [b, heads, T, S]
        cap = self._cap()
        weights = emit("softmax", scores if cap is None else emit("minimum", scores, cap), axis=3)
        y = emit("matmul", v, weights, transpose_right=True)  # [b, heads, V, T]
        self.rewriter.note(f"attention of {self.heads} heads became products over {self.queries} x {self.keys} frames")
        return self.rewriter.reshaped(y, self.op.result.type)

    def _by_head(self, x: Value, heads: int, frames: str) -> Value:
        """[b, heads*W, 1, T] as [b, heads, W, T]."""
        batch, channels, _, count = x.type.shape
        axes = (("batch", batch), ("channel", heads), ("feature", channels // heads), (frames, count))
        return self.rewriter.op("reshape", x, axes=axes)

    def _repeated(self, x: Value) -> Value:
        """Each head of keys or values once for every query head that it serves."""
        times = self.heads // self.kv_heads
        if times == 1:
            return x
        parts = self.rewriter.emit("split", x, parts=self.kv_heads, axis=1) if self.kv_heads > 1 else (x,)
        return self.rewriter.op("concat", *(part for part in parts for _ in range(times)), axis=1)

    def _cap(self) -> Value | None:
        """The highest score that a query may give a key, [1, 1, T or 1, S]. None: all see all."""
        seen = band(self.queries, self.keys, self.op.signature)
        fixed = None
        if not seen.all():
            caps = np.where(seen, SEEN, OUTSIDE).astype(np.float32)[None, None]
            fixed = self.rewriter.constant(caps, ["unit"] * 4)
        if self.mask is None:
            return fixed
        row = self.rewriter.op("reshape", self.mask, axes=(("unit", 1), ("unit", 1), ("unit", 1), ("unit", self.keys)))
        present = self.rewriter.op("scale", row, factor=SEEN - MISSING, offset=MISSING)
        return present if fixed is None else self.rewriter.op("minimum", fixed, present)
