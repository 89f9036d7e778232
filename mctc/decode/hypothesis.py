"""What a search has found: label sequences with a score, and where and how surely each label was heard."""

from __future__ import annotations

from mctc.records import dataclass


@dataclass(frozen=True)
class Hypothesis:
    """A sequence of labels.

    score: natural logarithm of its probability as the search defines it, with what was fused into it.
    frames: for each label the encoded frame at which it was emitted, counted from the start of the stream; never
    decreasing. confidences: for each label its probability at that frame, 0 to 1.
    """

    ids: tuple[int, ...]
    score: float
    frames: tuple[int, ...]
    confidences: tuple[float, ...]


@dataclass(frozen=True)
class Partial:
    """What a search knows of the utterance so far.

    best: the best hypothesis now. Its first `final` labels, with their frames and confidences, never change; those
    behind them are tentative. frames: encoded frames of the stream that were searched. begun: the frame at which the
    utterance began.
    """

    best: Hypothesis
    final: int
    frames: int
    begun: int = 0
