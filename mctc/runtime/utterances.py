"""A stream of audio as utterances: what is known after each chunk, and where one ends and the next begins."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.decode.endpoint import Endpointer, EndpointRule
from mctc.decode.hypothesis import Hypothesis, Partial
from mctc.records import dataclass
from mctc.runtime.stream import Samples, SpeechStream


@dataclass(frozen=True)
class Update:
    """Either what is known of an utterance that goes on (`partial`), or the `hypotheses` of one that has ended, the
    best first, with the rule that ended it; None where the audio ended."""

    partial: Partial | None = None
    hypotheses: tuple[Hypothesis, ...] = ()
    rule: EndpointRule | None = None


class Utterances:
    """Cuts a stream by the rules of an endpointer; without one, all of the audio is one utterance.

    Where an utterance ends the search begins anew, and the encoder goes on. One in which nothing was said is left out.
    """

    def __init__(self, stream: SpeechStream, endpointer: Endpointer | None = None) -> None:
        self.stream, self.endpointer = stream, endpointer

    def push(self, samples: Samples) -> Iterator[Update]:
        """What comes of the next samples, as it is iterated. Raises as `SpeechStream.push`."""
        for partial in self.stream.push(samples):
            yield from self._after(partial)

    def flush(self) -> Iterator[Update]:
        """What comes of the end of the audio, as it is iterated."""
        for partial in self.stream.flush():
            yield from self._after(partial)
        yield from self._ended(None)

    def _after(self, partial: Partial) -> Iterator[Update]:
        yield Update(partial)
        rule = None if self.endpointer is None else self.endpointer.reached(partial)
        if rule is not None:
            yield from self._ended(rule)

    def _ended(self, rule: EndpointRule | None) -> Iterator[Update]:
        hypotheses = self.stream.finish()
        if hypotheses and hypotheses[0].ids:
            yield Update(hypotheses=hypotheses, rule=rule)
