"""The one interface of all searches over frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from mctc.decode.settings import Settings

if TYPE_CHECKING:  # a search is imported when it is asked for
    from mctc.decode.engine import TransducerEngine
    from mctc.decode.frames import Floats
    from mctc.decode.fusion import Scorer
    from mctc.decode.hypothesis import Hypothesis, Partial
    from mctc.decode.vocabulary import Vocabulary


class Search(Protocol):
    """Encoded frames in, label sequences out. One search decodes one stream, utterance after utterance."""

    @property
    def frames(self) -> int:
        """Frames of the stream that were searched."""

    def accept(self, encoded: Floats) -> Partial:
        """What is known after the next encoded frames [frames, width], any number of them.

        Cutting a stream into other pieces changes no result. What a partial result called final is in every later one
        of the utterance and in the best hypothesis of `finish`. Raises DecodeError for NaN or frames of another form.
        """

    def finish(self) -> tuple[Hypothesis, ...]:
        """The hypotheses of the utterance that ends here, the best first, at most `n_best`.

        The next frames begin another utterance; their count goes on.
        """


def transducer_search(
    engine: TransducerEngine, vocabulary: Vocabulary, settings: Settings, scorers: Sequence[Scorer] = ()
) -> Search:
    """A search over the encoded frames of a transducer. Raises ValueError for scorers without a beam, and for the beam
    of one label a frame with durations."""
    if settings.durations and settings.method == "beam":
        raise ValueError("with durations a hypothesis goes on by itself: take the time-synchronous beam")
    if settings.method == "beam":
        from mctc.decode.transducer_beam import TransducerBeam

        return TransducerBeam(engine, vocabulary, settings, scorers)
    if settings.method == "time-synchronous":
        from mctc.decode.time_synchronous import TimeSynchronousBeam

        return TimeSynchronousBeam(engine, vocabulary, settings, scorers)
    _refuse_scorers(scorers)
    if settings.durations:
        from mctc.decode.duration_greedy import DurationGreedy

        return DurationGreedy(engine, vocabulary, settings)
    from mctc.decode.transducer_greedy import TransducerGreedy

    return TransducerGreedy(engine, vocabulary, settings)


def ctc_search(vocabulary: Vocabulary, settings: Settings, scorers: Sequence[Scorer] = ()) -> Search:
    """A search over logits or log-probabilities [frames, vocabulary] of frames. Raises ValueError as above."""
    if settings.method != "greedy":
        from mctc.decode.ctc_beam import CtcBeam

        return CtcBeam(vocabulary, settings, scorers)
    from mctc.decode.ctc_greedy import CtcGreedy

    _refuse_scorers(scorers)
    return CtcGreedy(vocabulary, settings)


def _refuse_scorers(scorers: Sequence[Scorer]) -> None:
    if scorers:
        raise ValueError("a greedy search follows one hypothesis, so nothing can be fused into it: take a beam")
