"""What a search asks of whatever executes a model: calls over many hypotheses at once, which hold no state.

A state is what an engine needs to go on behind a label sequence. Engines make states and never change one; searches
keep them beside the label sequences that they belong to. So hypotheses share what they have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from mctc.decode.frames import Floats

State = Any  # the engine's own


class TransducerEngine(Protocol):
    """Predictor and joiner of a transducer."""

    @property
    def frames(self) -> int:
        """Encoded frames that one call of the joiner best looks at."""

    def start(self) -> State:
        """The state of the predictor before the first label."""

    def predict(self, labels: Sequence[int], states: Sequence[State]) -> tuple[Floats, list[State]]:
        """The predictor's vectors [N, width] after one more label each, and its states then."""

    def join(self, encoded: Floats, predicted: Floats) -> Floats:
        """Logits [N, frames, vocabulary] of each encoded frame [frames, width] with each vector [N, width]."""


class LabelEngine(Protocol):
    """What tells the next label from those before: an attention decoder that has heard an utterance, or a language
    model."""

    def start(self, prompt: Sequence[int]) -> tuple[Floats, State]:
        """Logits [vocabulary] of the label that follows a prompt of at least one label, and the state then."""

    def predict(self, labels: Sequence[int], states: Sequence[State]) -> tuple[Floats, list[State]]:
        """Logits [N, vocabulary] of the label that follows after one more label each, and the states then."""
