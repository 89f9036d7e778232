"""Ops that act in training alone.

Everywhere else they give one of their operands as it is, and no deployed program has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from mctc.ir.example import Example, X
from mctc.ir.fields import Attribute, operand, probability, text
from mctc.ir.op import FLOATS, Array, InferenceError, Op, declare
from mctc.ir.types import Role, TensorType


class Training(Op):
    """Base of these ops: `rate` is the probability with which each of them acts."""

    takes = FLOATS
    effects = True  # two draws are never one

    rate: Attribute[float]

    def acts(self) -> bool:
        return self.rate > 0


@declare
class Dropout(Training):
    """x, in training with zeros for what is drawn with probability `rate` and the rest divided by 1 - rate.

    `kind` says what falls together: an "element" alone; a "channel" in all frames of an utterance; a frame ("time", or
    a label where there is no time) in all channels; all of an "utterance", which around a residual branch is stochastic
    depth.

    Sources: Srivastava et al. 2014, "Dropout"; Tompson et al. 2015 (channels); Huang et al. 2016, "Deep networks with
    stochastic depth".
    """

    name = "dropout"
    example = Example({"x": X}, ("dropout(%x, rate = 0.1)", "dropout(%x, rate = 0.1, kind = utterance)"))
    x = operand()
    rate = probability()
    kind = text("element")
    outside_training = "x"
    KINDS: ClassVar[tuple[str, ...]] = ("element", "channel", "time", "utterance")

    def shared(self) -> tuple[int, ...]:
        """The axes along which entries fall together. Raises InferenceError for an unknown kind, or no axis for it."""
        kind, x = self.kind, self.x.type
        if kind not in self.KINDS:
            raise InferenceError(f"there is no kind {kind!r}; there are {', '.join(self.KINDS)}", "kind")
        if kind == "element":
            return ()
        apart = {
            "channel": next((i for i in (x.find(Role.CHANNEL), x.find(Role.VOCABULARY)) if i is not None), None),
            "time": x.sequence,
            "utterance": x.find(Role.BATCH),
        }[kind]
        if apart is None:
            raise InferenceError(f"{x} has no axis for the kind {kind}", "x")
        return tuple(i for i in range(x.rank) if i not in (apart, x.find(Role.BATCH)))

    def infer(self) -> Sequence[TensorType]:
        self.shared()
        return (self.x.type,)

    def reference(self, x: Array) -> Sequence[Array]:
        return (x,)


@declare
class LayerDrop(Training):
    """`after`; in training, with probability `rate`, `before` for the whole batch: a layer that is skipped.

    Source: Fan et al. 2020, "Reducing transformer depth on demand with structured dropout".
    """

    name = "layer_drop"
    example = Example({"x": X}, ("layer_drop(%x, %x, rate = 0.1)",))
    after = operand()
    before = operand()
    rate = probability()
    outside_training = "after"

    def infer(self) -> Sequence[TensorType]:
        after, before = self.after.type, self.before.type
        if after != before:
            raise InferenceError(f"what a layer gives is {after}, what it takes {before}", "before")
        return (after,)

    def reference(self, after: Array, before: Array) -> Sequence[Array]:
        return (after,)
