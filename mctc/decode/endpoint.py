"""When an utterance is over: rules as data.

Silence is what was heard since the last label that is a sound. The usual rules are the three that sherpa comes with.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mctc.decode.hypothesis import Partial
from mctc.records import dataclass


@dataclass(frozen=True)
class EndpointRule:
    """The utterance is over when all of this is so. name: for whoever asks why.

    silence_s: seconds of silence at the end, at least. length_s: seconds since the utterance began, at least. spoken:
    whether anything has been said in it; None where that does not matter.
    """

    name: str
    silence_s: float = 0.0
    length_s: float = 0.0
    spoken: bool | None = None


USUAL = (
    EndpointRule("silence before any word", silence_s=2.4, spoken=False),
    EndpointRule("silence after words", silence_s=1.2, spoken=True),
    EndpointRule("longest utterance", length_s=20.0),
)


@dataclass(frozen=True)
class Endpointer:
    """Rules for a stream. frame_s: seconds of an encoded frame. quiet: labels that are no sound, such as a space."""

    frame_s: float
    rules: Sequence[EndpointRule] = USUAL
    quiet: Collection[int] = ()

    def reached(self, partial: Partial) -> EndpointRule | None:
        """The first rule that says that the utterance is over; None while it goes on."""
        best = partial.best
        backwards = zip(reversed(best.ids), reversed(best.frames))
        last = next((frame for label, frame in backwards if label not in self.quiet), None)
        length_s = (partial.frames - partial.begun) * self.frame_s
        quiet_s = length_s if last is None else (partial.frames - last - 1) * self.frame_s
        for rule in self.rules:
            right = rule.spoken is None or rule.spoken == (last is not None)
            if right and quiet_s >= rule.silence_s and length_s >= rule.length_s:
                return rule
        return None
