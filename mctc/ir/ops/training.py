"""Ops that act in training alone.

Everywhere else they give one of their operands as it is, and no deployed program has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from mctc.ir.op import FLOATS, REQUIRED, Array, InferenceError, OpDef, Signature, declare
from mctc.ir.types import Role, TensorType


class Training(OpDef):
    """Base of these ops: `rate` is the probability with which each of them acts."""

    takes = FLOATS
    effects = True  # two draws are never one

    @classmethod
    def rate(cls, s: Signature) -> float:
        """The probability. Raises InferenceError where it is none, or 1: nothing would be left."""
        rate = s.attribute("rate")
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate < 1:
            raise InferenceError(f"rate is a probability from 0 to below 1, not {rate!r}", "rate")
        return rate

    @classmethod
    def acts(cls, s: Signature) -> bool:
        return cls.rate(s) > 0


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
    operands = "x"
    attributes = {"rate": REQUIRED, "kind": "element"}
    outside_training = "x"
    KINDS: ClassVar[tuple[str, ...]] = ("element", "channel", "time", "utterance")

    @classmethod
    def shared(cls, s: Signature) -> tuple[int, ...]:
        """The axes along which entries fall together. Raises InferenceError for an unknown kind, or no axis for it."""
        kind, x = s.attribute("kind"), s["x"]
        if kind not in cls.KINDS:
            raise InferenceError(f"there is no kind {kind!r}; there are {', '.join(cls.KINDS)}", "kind")
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

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        cls.rate(s), cls.shared(s)
        return (s["x"],)

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        return (operands[0],)


@declare
class LayerDrop(Training):
    """`after`; in training, with probability `rate`, `before` for the whole batch: a layer that is skipped.

    Source: Fan et al. 2020, "Reducing transformer depth on demand with structured dropout".
    """

    name = "layer_drop"
    operands = "after before"
    attributes = {"rate": REQUIRED}
    outside_training = "after"

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        cls.rate(s)
        if s["after"] != s["before"]:
            raise InferenceError(f"what a layer gives is {s['after']}, what it takes {s['before']}", "before")
        return (s["after"],)

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        return (operands[0],)
