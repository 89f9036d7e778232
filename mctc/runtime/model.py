"""A build from Python: audio in, events out. `mctc.open` makes one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mctc.audio.load import LOUDEST, resampler
from mctc.audio.sound import RATES
from mctc.decode.endpoint import USUAL, Endpointer, EndpointRule
from mctc.decode.fusion import Scorer
from mctc.decode.hypothesis import Hypothesis
from mctc.decode.settings import Settings
from mctc.decode.timed import TimedWord
from mctc.driver.options import BuildError
from mctc.runtime.built import Built, open_built
from mctc.runtime.searched import Recogniser, recogniser
from mctc.runtime.stream import Samples, SpeechStream
from mctc.runtime.utterances import Heard, Utterances
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


class Session:
    """One stream of audio through a model, with a state of its own: as many at a time as there are streams.

    Sessions of one model may run in as many threads; calls of one session come one after another, from any thread.

    rate: of the samples in Hz. Raises ValueError for a rate that no sound has, and what `SpeechStream` and the search
    raise.
    """

    def __init__(
        self, model: Model, rate: int, settings: Settings, scorers: Sequence[Scorer], rules: Sequence[EndpointRule]
    ) -> None:
        if not RATES[0] <= rate <= RATES[1]:
            raise ValueError(f"a rate is {RATES[0]} to {RATES[1]} Hz, not {rate}")
        self.tokens, self.stream, self._closed = model.tokens, SpeechStream(model.recogniser, settings, scorers), False
        quiet = {at for at, piece in enumerate(self.tokens.pieces) if piece.isspace()}
        endpointer = Endpointer(self.stream.frame_s, rules, quiet) if rules else None
        self._utterances = Utterances(self.stream, endpointer)
        self._resample = resampler(rate, self.stream.config.sample_rate, "the audio")

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
            raise ValueError("the stream has ended: another one needs a session of its own")

    def _events(self, heard: Heard) -> Iterator[Event]:
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
        words = words_of(self.tokens, found, self.stream.frame_s)
        return Event(kind, self.tokens.text(found.ids), words, len(words) if known is None else known)


@dataclass(frozen=True)
class Model:
    """A build that hears: a transducer, or an encoder with CTC, whose labels have names."""

    built: Built
    recogniser: Recogniser
    tokens: Tokens

    def session(
        self,
        rate: int = 16_000,
        settings: Settings | None = None,
        scorers: Sequence[Scorer] = (),
        rules: Sequence[EndpointRule] = USUAL,
    ) -> Session:
        """A stream of audio. settings: of the search, greedy if left out; scorers: language models, hotwords; rules: of
        when an utterance has ended, none for audio that is one."""
        return Session(self, rate, settings or Settings(), scorers, rules)

    def transcribe(
        self,
        chunks: Iterable[Audio],
        rate: int = 16_000,
        settings: Settings | None = None,
        scorers: Sequence[Scorer] = (),
        rules: Sequence[EndpointRule] = USUAL,
    ) -> Iterator[Event]:
        """Events of a stream of audio in chunks of any length, as they come; the arguments are those of `session`."""
        session = self.session(rate, settings, scorers, rules)
        for chunk in chunks:
            yield from session.pushed(chunk)
        yield from session.closed()


def open_model(folder: Path | str, precision: str | None = None, weights: Path | str | None = None) -> Model:
    """The model of a build's folder. precision: 'fp16', 'fp32', 'engine', ... (docs/engine-arithmetic.md), the build's
    if left out; weights: the checkpoint, for a build whose files hold none.

    Raises BuildError for what is no build that hears, one that is untrained, and one whose labels have no names, and
    what opening an artifact raises.
    """
    built = open_built(Path(folder))
    if built.seed is not None:
        hint = "mctc build --weights FILE.safetensors binds trained weights"
        raise BuildError(f"{folder} is untrained, so what it hears means nothing", hint=hint)
    if built.tokens is None:
        raise BuildError(f"{folder} has no tokens, so there are no words", hint="mctc build --tokens FILE names them")
    model = recogniser(built, precision, None if weights is None else Path(weights))
    model.stream()  # what opens artifacts does so here, once, and not in the first stream
    return Model(built, model, built.tokens)


def mono(samples: Audio) -> Samples:
    """Samples [n] as floats in [-1, 1]. Raises ValueError for arrays of another kind, and for samples that are no
    sound: not finite, or beyond all loudness."""
    array = np.asarray(samples)
    kind, told = f"{array.dtype.kind}{array.dtype.itemsize}", f"{array.dtype} {list(array.shape)}"
    if array.dtype.kind != "f" and kind not in FULL:
        raise ValueError(f"samples are floats, or whole numbers of 8, 16 or 32 bits, not {told}")
    if array.ndim not in (1, 2) or (array.ndim == 2 and not 1 <= array.shape[1] <= MOST_CHANNELS):
        raise ValueError(f"samples are [n], or [n, channels] with at most {MOST_CHANNELS} channels, not {told}")
    if kind in FULL:
        silence, full = FULL[kind]
        array = (array - np.float32(silence)) / np.float32(full)
    if not (np.abs(array) <= LOUDEST).all():
        raise ValueError("samples are not finite, or beyond all loudness; full scale is 1 for floats")
    return np.asarray(array if array.ndim == 1 else array.mean(axis=1), np.float32)
