"""The one alignment that a greedy search follows: the labels that it emits, at which frames, how sure of each it is."""

from __future__ import annotations

from mctc.decode.hypothesis import Hypothesis, Partial


class Alignment:
    """An utterance's; it only grows, so all of it is final. begun: the frame of the stream that the utterance begins
    with. score: the log-probability of what was followed, which the search adds up."""

    def __init__(self, begun: int) -> None:
        self.begun, self.score = begun, 0.0
        self._ids: list[int] = []
        self._frames: list[int] = []
        self._confidences: list[float] = []

    def emit(self, label: int, frame: int, confidence: float) -> None:
        """One more label, at a frame of the stream, with its probability there."""
        self._ids.append(label)
        self._frames.append(frame)
        self._confidences.append(confidence)

    def partial(self, frames: int) -> Partial:
        """What is known after so many frames of the stream."""
        return Partial(self.hypothesis(), len(self._ids), frames, self.begun)

    def hypothesis(self) -> Hypothesis:
        """All of it so far."""
        return Hypothesis(tuple(self._ids), self.score, tuple(self._frames), tuple(self._confidences))
