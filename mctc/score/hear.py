"""Utterances through a build: what is heard, what it costs, and how late it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from pathlib import Path
from time import perf_counter

from mctc.audio.front_end import frames_of
from mctc.audio.load import load_audio, stream_audio
from mctc.decode.settings import Settings
from mctc.decode.timed import TimedWord
from mctc.records import dataclass
from mctc.runtime.built import Built, open_built
from mctc.runtime.decoding import Asked, search_of
from mctc.runtime.encoder_decoder import EncoderDecoder, decoder_of
from mctc.runtime.scorers import Fused
from mctc.runtime.searched import recogniser
from mctc.runtime.speech import listen
from mctc.runtime.stream import Samples, SpeechStream, front_end_of
from mctc.runtime.utterance import read_tables, transcribe_samples
from mctc.runtime.whole import ANYWAY, WholeEncoder
from mctc.score import alignment
from mctc.score.errors import ScoreError
from mctc.score.normalise import simple
from mctc.score.record import Record
from mctc.score.utterance import SaidWord, Utterance
from mctc.transcript.words import words_of

Ear = Callable[[Utterance, int], Record]
"""Hears an utterance that is started some mel frames later. Raises what the build's runtime raises."""


@dataclass(frozen=True)
class System:
    """What is scored: a build and how it is run. number: which of the builds it is, from 0. decoding, tables: of an
    attention decoder (mctc.runtime.utterance). whole: the encoder hears each utterance in one call."""

    folder: Path
    number: int = 0
    precision: str | None = None
    weights: Path | None = None
    settings: Settings = field(default_factory=Settings)
    fused: Fused = field(default_factory=Fused)
    decoding: Asked = field(default_factory=Asked)
    tables: tuple[str, ...] = ()
    whole: bool = False


def readable(system: System) -> Built:
    """The build. Raises BuildError for none, and ScoreError for one that makes no text."""
    built = open_built(system.folder)
    if built.seed is not None:
        told = f"{system.folder} is untrained: its weights were drawn from seed {built.seed}"
        raise ScoreError(told, hint="mctc build --weights FILE.safetensors binds trained ones")
    if built.tokens is None:
        told = f"{system.folder} has no tokens, so there is no text to score"
        raise ScoreError(told, hint="mctc build --tokens FILE says what its classes stand for")
    return built


def opened(system: System) -> Ear:
    """What hears with a build. Raises BuildError for one that hears no speech, ScoreError for one that makes no text,
    and UsageError for an attention decoder without a start and an end."""
    built = readable(system)
    if decoder_of(built) is None:
        return _at_once(system, built) if system.whole else _searching(system, built)
    if system.whole:
        raise ScoreError(ANYWAY.format(system.folder), hint="leave --whole out")
    return _decoding(system, built)


def _searching(system: System, built: Built) -> Ear:
    """By a search over frames."""
    model, tokens = recogniser(built, system.precision, system.weights), built.tokens
    assert tokens is not None
    scorers = system.fused.scorers(tokens, model.vocabulary.size)

    def hear(utterance: Utterance, offset: int) -> Record:
        stream = SpeechStream(model, system.settings, scorers)
        skipped, rate = offset * stream.config.hop, stream.config.sample_rate
        blocks = stream_audio(utterance.audio, stream.chunk_samples, rate, utterance.start, utterance.duration)
        found = listen(stream, _later(blocks, skipped))
        words = [word for best in found.best for word in words_of(tokens, best, found.frame_s)]
        return Record(
            system.number, utterance.id, offset, utterance.text, " ".join(tokens.text(best.ids) for best in found.best),
            found.audio_s, found.work_s, found.first_late_s, delays(utterance.words, words, skipped / rate),
        )  # fmt: skip

    return hear


def _at_once(system: System, built: Built) -> Ear:
    """By the same search over the frames of a whole utterance: nothing is known before its end."""
    model, tokens, config = recogniser(built, system.precision, system.weights), built.tokens, front_end_of(built)
    assert tokens is not None
    encoder, scorers = WholeEncoder(model), system.fused.scorers(tokens, model.vocabulary.size)
    frame_s = encoder.frame / config.frame_rate

    def hear(utterance: Utterance, offset: int) -> Record:
        samples = load_audio(utterance.audio, config.sample_rate, utterance.start, utterance.duration)
        started, heard = perf_counter(), samples[offset * config.hop :]
        search = model.search(system.settings, scorers)
        search.accept(encoder(frames_of(heard, config)))
        best = search.finish()[0]
        work_s, words = perf_counter() - started, words_of(tokens, best, frame_s)
        return Record(
            system.number, utterance.id, offset, utterance.text, tokens.text(best.ids),
            len(heard) / config.sample_rate, work_s, None,
            delays(utterance.words, words, offset * config.hop / config.sample_rate),
        )  # fmt: skip

    return hear


def _decoding(system: System, built: Built) -> Ear:
    """By an attention decoder, which says no times."""
    search, tokens, config = search_of(built, system.decoding), built.tokens, front_end_of(built)
    assert tokens is not None
    model = EncoderDecoder(built, read_tables(system.tables), system.precision, system.weights)

    def hear(utterance: Utterance, offset: int) -> Record:
        samples = load_audio(utterance.audio, config.sample_rate, utterance.start, utterance.duration)
        found = transcribe_samples(model, config, samples[offset * config.hop :], search, str(utterance.audio))
        return Record(
            system.number, utterance.id, offset, utterance.text, found.text(tokens), found.audio_s,
            found.mel_s + found.encode_s + found.search_s,
        )  # fmt: skip

    return hear


def delays(said: Sequence[SaidWord], heard: Sequence[TimedWord], started_s: float = 0.0) -> tuple[float, ...]:
    """Seconds from the end of each word that was heard as it was said to the end of its last label's frame.

    started_s: how much later the recording was started. Words are compared in their simple form.
    """
    if not said:
        return ()
    one = [(simple(word.text).replace(" ", ""), word.end) for word in said]
    other = [(simple(word.text).replace(" ", ""), word.end + started_s) for word in heard]
    one, other = [each for each in one if each[0]], [each for each in other if each[0]]
    _, pairs = alignment.words([text for text, _ in one], [text for text, _ in other])
    ends, emitted, found = iter(one), iter(other), []
    for first, second in pairs:
        end = next(ends)[1] if first is not None else None
        came = next(emitted)[1] if second is not None else None
        if first == second and end is not None and came is not None:
            found.append(round(came - end, 4))
    return tuple(found)


def _later(blocks: Iterator[Samples], samples: int) -> Iterator[Samples]:
    """Sound without its first samples."""
    for block in blocks:
        if samples < len(block):
            yield block[samples:]
        samples = max(0, samples - len(block))
