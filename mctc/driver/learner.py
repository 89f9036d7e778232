"""What computes the loss of a model, as far as compression needs it: the interface of a target that writes modules to
train."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from mctc.ir.op import Array

Take = Callable[[str, Array], None]
"""Is given the name of a weight, and rows [positions, entries of a row of it] that it was multiplied with, or its
gradient."""


class Learner(Protocol):
    """A model with the weights of a checkpoint, in fp32 and unquantised. Frames are [T, bins], labels [U]."""

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The trained tensors of the model and their shapes."""

    def loss(self, frames: Array, labels: Array) -> float:
        """Of one utterance, in nats."""

    def given(self, frames: Array, labels: Array) -> Mapping[str, Array]:
        """What another learner of the model can be drawn toward: hidden results of one utterance, and the loss's
        gradients by those that stand for classes."""

    def apart(self, frames: Array, labels: Array, toward: Mapping[str, Array]) -> tuple[float, float]:
        """The loss, and how far hidden results are from others, as a share of their power."""

    def gradients(
        self, frames: Array, labels: Array, give: Take, take: Take | None = None,
        toward: Mapping[str, Array] | None = None,
    ) -> float:  # fmt: skip
        """The loss of one utterance. `give` is told the gradient of each parameter that it depends on, as soon as it is
        whole and once, `take` the inputs of each weight; both have them until they return. With what another
        learner has given to go toward, gradients are those of the distance from it: of the distributions of classes, a
        label, and of hidden results as a share of their power."""

    def put(self, values: Mapping[str, Array]) -> None:
        """Gives parameters other values."""
