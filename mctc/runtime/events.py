"""One stream of audio through a build: samples of any kind in, events out. `mctc.open(...).stream()` makes one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mctc.audio.errors import SamplesError
from mctc.audio.load import resampler
from mctc.audio.scale import other_scale
from mctc.audio.sound import RATES
from mctc.decode.endpoint import USUAL, Endpointer, EndpointRule
from mctc.decode.fusion import Scorer
from mctc.decode.hypothesis import Hypothesis
from mctc.decode.settings import Settings
from mctc.decode.timed import TimedWord
from mctc.records import dataclass
from mctc.runtime.searched import Recogniser
from mctc.runtime.stream import Samples, SpeechStream
from mctc.runtime.utterances import Update, Utterances
from mctc.tokens import Tokens
from mctc.transcript.words import settled, words_of

Audio = NDArray[np.floating[Any]] | NDArray[np.integer[Any]]
"""Samples [n], or [n, channels] which are averaged: floats in [-1, 1], or whole numbers as `FULL` has them."""

FULL = {"i1": (0, 2.0**7), "u1": (2.0**7, 2.0**7), "i2": (0, 2.0**15), "i4": (0, 2.0**31)}
"""What silence and full scale above it are in samples that are whole numbers; those of 8 bits in WAV files are u1."""
MOST_CHANNELS = 64  # more are [channels, n]


@dataclass(frozen=True)
class Event:
    """What is known of a stream.

    kind: 'partial' after every chunk; 'final' when an utterance has ended, of whose words none changes any more;
    'endpoint' behind a 'final' that a rule brought about. text, words: of the utterance so far. settled: how many of
    the words never change again. rule: the name of the rule, of an 'endpoint'.
    """

    kind: Literal["partial", "final", "endpoint"]
    text: str = ""
    words: tuple[TimedWord, ...] = ()
    settled: int = 0
    rule: str | None = None


class Stream:
    """One stream of audio through a model, with a state of its own: as many at a time as are wanted.

    Streams of one model may run in as many threads; calls of one stream come one after another, from any thread.

    rate: of the samples in Hz. settings: of the search, greedy if left out. scorers: language models, hotwords.
    rules: of when an utterance has ended, none for audio that is one. Raises SamplesError for a rate that no sound has,
    and what `SpeechStream` and the search raise.
    """

    def __init__(
        self,
        model: Recogniser,
        tokens: Tokens,
        rate: int = 16_000,
        settings: Settings | None = None,
        scorers: Sequence[Scorer] = (),
        rules: Sequence[EndpointRule] = USUAL,
    ) -> None:
        self.tokens, self._closed = tokens, False
        rate = checked_rate(rate)
        self.speech = SpeechStream(model, settings or Settings(), scorers)
        endpointer = Endpointer(self.speech.frame_s, rules, tokens.white_space) if rules else None
        self._utterances = Utterances(self.speech, endpointer)
        self._resample = resampler(rate, self.speech.config.sample_rate, "the audio")

    def events(self, chunks: Iterable[Audio]) -> Iterator[Event]:
        """What comes of chunks of any length, to the end of the audio, as it is iterated."""
        for chunk in chunks:
            yield from self.pushed(chunk)
        yield from self.closed()

    def push(self, samples: Audio) -> list[Event]:
        """What comes of the next samples, any number of them. Raises ValueError for other arrays, and after the end."""
        return list(self.pushed(samples))

    def close(self) -> list[Event]:
        """What comes of the end of the audio. Raises ValueError after the end."""
        return list(self.closed())

    def pushed(self, samples: Audio) -> Iterator[Event]:
        """`push`, computed as it is iterated."""
        self._refuse_after_the_end()
        for heard in self._utterances.push(self._resample(mono(samples), False)):
            yield from self._events(heard)

    def closed(self) -> Iterator[Event]:
        """`close`, computed as it is iterated."""
        self._refuse_after_the_end()
        self._closed = True
        for heard in self._utterances.push(self._resample(np.zeros(0, np.float32), True)):
            yield from self._events(heard)
        for heard in self._utterances.flush():
            yield from self._events(heard)

    def _refuse_after_the_end(self) -> None:
        if self._closed:
            raise SamplesError("the stream has ended: other audio needs a stream of its own")

    def _events(self, heard: Update) -> Iterator[Event]:
        if heard.partial is not None:
            ids = heard.partial.best.ids
            yield self._event(
                "partial", heard.partial.best, settled(self.tokens.words(ids), heard.partial.final, len(ids))
            )
        else:
            yield self._event("final", heard.hypotheses[0], None)
            if heard.rule is not None:
                yield Event("endpoint", rule=heard.rule.name)

    def _event(self, kind: Literal["partial", "final"], found: Hypothesis, known: int | None) -> Event:
        words = words_of(self.tokens, found, self.speech.frame_s)
        return Event(kind, self.tokens.text(found.ids), words, len(words) if known is None else known)


def checked_rate(rate: Any) -> int:
    """A rate in Hz that sound can have. Raises SamplesError."""
    known = isinstance(rate, int | float | np.number) and not isinstance(rate, bool)
    if not known or not RATES[0] <= rate <= RATES[1] or rate != int(rate):
        message = f"a rate is {RATES[0]} to {RATES[1]} Hz, a whole number, not {rate!r}"
        raise SamplesError(message, hint="rate=16_000, for example")
    return int(rate)


def mono(samples: Audio) -> Samples:
    """Samples [n] as floats in [-1, 1]. Raises SamplesError for arrays of another kind, and for samples that are no
    sound: not finite, or beyond all loudness."""
    try:
        array = np.asarray(samples)
    except ValueError as error:
        raise SamplesError(
            f"samples are [n], or [n, channels]: {error}", hint="the rate is an argument: rate="
        ) from error
    kind, told = f"{array.dtype.kind}{array.dtype.itemsize}", f"{array.dtype} {list(array.shape)}"
    if array.dtype.kind != "f" and kind not in FULL:
        raise SamplesError(f"samples are floats, or whole numbers of 8, 16 or 32 bits, not {told}")
    if array.ndim not in (1, 2) or (array.ndim == 2 and not 1 <= array.shape[1] <= MOST_CHANNELS):
        raise SamplesError(f"samples are [n], or [n, channels] with at most {MOST_CHANNELS} channels, not {told}")
    if kind in FULL:
        silence, full = FULL[kind]
        array = (array - np.float32(silence)) / np.float32(full)
    if not np.isfinite(array).all():
        raise SamplesError("samples are not finite")
    if (wrong := other_scale(array)) is not None:
        raise SamplesError(wrong[0], hint=wrong[1])
    return np.asarray(array if array.ndim == 1 else array.mean(axis=1), np.float32)
