"""When each word was said, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mctc.decode.hypothesis import Hypothesis
from mctc.records import dataclass


class Span(Protocol):
    """A word: `ids[first:last]` of the labels that it was made from."""

    @property
    def text(self) -> str: ...

    @property
    def first(self) -> int: ...

    @property
    def last(self) -> int: ...


@dataclass(frozen=True)
class TimedWord:
    """start, end: seconds from the start of the stream. confidence: the mean of its labels', 0 to 1."""

    text: str
    start: float
    end: float
    confidence: float


def timed_words(
    hypothesis: Hypothesis, spans: Sequence[Span], frame_s: float, delay_s: float = 0.0
) -> tuple[TimedWord, ...]:
    """The words of a hypothesis: from the frame of the first label to the end of the last one's.

    frame_s: seconds of an encoded frame. delay_s: how much later than it is said a label is emitted, in the mean. A
    word ends at the latest where the next begins, and no time is below 0. Raises ValueError for a hypothesis without
    frames.
    """
    if len(hypothesis.frames) != len(hypothesis.ids):
        raise ValueError("a search over labels knows no frames, so its words have no times")
    starts = [max(0.0, hypothesis.frames[span.first] * frame_s - delay_s) for span in spans]
    ends = [max(0.0, (hypothesis.frames[span.last - 1] + 1) * frame_s - delay_s) for span in spans]
    ends = (
        [min(end, after) if after >= start else end for start, end, after in zip(starts, ends, [*starts[1:], ends[-1]])]
        if spans
        else []
    )
    return tuple(
        TimedWord(span.text, start, end, _mean(hypothesis.confidences[span.first : span.last]))
        for span, start, end in zip(spans, starts, ends, strict=True)
    )


def _mean(confidences: Sequence[float]) -> float:
    """The mean told right words from wrong ones better than the least or the product, and is closer to a frequency
    (docs/decode.md)."""
    return sum(confidences) / len(confidences)
