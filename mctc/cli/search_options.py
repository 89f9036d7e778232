"""Options of the search for labels, which several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mctc.cli.options import PATH, Decorated
from mctc.diagnostics.errors import UsageError
from mctc.tokens.errors import NAMELESS

if TYPE_CHECKING:
    from mctc.decode.attempts import Attempts
    from mctc.decode.fusion import Scorer
    from mctc.decode.settings import Settings
    from mctc.runtime.decoding import Asked
    from mctc.runtime.scorers import Fused
    from mctc.runtime.searched import Recogniser

METHODS = ("greedy", "beam", "time-synchronous")
NAMES = ("method", "beam", "window", "max_symbols", "blank_penalty")
WEIGHT = 0.5  # of n-grams, where nothing is said


def search_options(command: Decorated) -> Decorated:
    """Options that `settings_of` reads, by the names of `Settings`, and those that `scorers_asked` does."""
    options = (
        click.option("--search", "method", type=click.Choice(METHODS), default="greedy", show_default=True,
                     help="Follow the best label, or several hypotheses."),
        click.option("--beam", default=4, show_default=True, type=click.IntRange(1), help="How many hypotheses."),
        click.option("--window", default=3.0, show_default=True, type=click.FloatRange(0),
                     help="How far behind the best one a hypothesis may be, in natural logarithms."),
        click.option("--max-symbols", default=5, show_default=True, type=click.IntRange(1),
                     help="Most labels at one frame."),
        click.option("--blank-penalty", default=0.0, show_default=True, type=float,
                     help="Taken off the blank's logit: more than 0 gives more labels."),
        click.option("--hotwords", type=PATH, metavar="FILE",
                     help="Phrases that are likelier than the model knows, one a line. Needs a beam."),
        click.option("--boost", default=1.0, show_default=True, type=float,
                     help="What each label of a hotword adds, in natural logarithms."),
        click.option("--ngram", "ngrams", multiple=True, metavar="FILE[=WEIGHT]",
                     help="N-grams of tokens or words (ARPA), their weight 0.5 if left out. Needs a beam. Repeatable."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def decoder_options(command: Decorated) -> Decorated:
    """Options of an attention decoder, which `asked_of` reads, and --table."""
    options = (
        click.option("--start", multiple=True, metavar="ID|NAME",
                     help="A token that decoding starts from. Repeatable."),
        click.option("--end", metavar="ID|NAME", help="The token that ends an utterance."),
        click.option("--max-tokens", type=click.IntRange(1), help="Most tokens of an utterance."),
        click.option("--context", metavar="TEXT",
                     help="What is told of the recording, such as names in it, where the model has a place for that."),
        click.option("--prefix", metavar="TEXT",
                     help="A text that the decoder goes on from, such as 'language English<asr_text>'."),
        click.option("--table", "tables", multiple=True, metavar="INPUT=FILE",
                     help="The rows that a decoder's input takes: FILE.npy or WEIGHTS.safetensors:NAME. Repeatable."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def window_options(command: Decorated) -> Decorated:
    """Options about the windows of a long recording, which `attempts_of` reads."""
    options = (
        click.option("--timestamps", is_flag=True, help="Times between the words, and recordings of any length."),
        click.option("--previous", is_flag=True, help="The prompt of a window has the text before it."),
        click.option("--temperature", "temperatures", multiple=True, type=click.FloatRange(0),
                     help="At which a window is decoded; of several, one after another until its text holds to the "
                     "limits. 0 if left out. Repeatable."),
        click.option("--repetition-limit", type=click.FloatRange(0),
                     help="A limit: how many times larger tokens are than zlib makes them, such as 1.35."),
        click.option("--likelihood-limit", type=float,
                     help="A limit: the least mean logarithm of a token's probability, such as -1."),
        click.option("--no-speech-limit", type=click.FloatRange(0, 1),
                     help="A window below the limit of likelihood says nothing if no speech is likelier than this."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def attempts_of(options: dict[str, Any]) -> Attempts:
    """What texts of windows have to hold to. Raises UsageError where there are no windows, and for a limit alone."""
    from mctc.decode.attempts import Attempts

    names = ("previous", "temperatures", "repetition_limit", "likelihood_limit", "no_speech_limit")
    previous, temperatures, repetition, likelihood, silence = (options[name] for name in names)
    if any(options[name] not in (None, False, ()) for name in names) and not options["timestamps"]:
        raise UsageError("these options are about the windows of a recording", hint="--timestamps makes windows of it")
    if silence is not None and likelihood is None:
        raise UsageError("--no-speech-limit asks what texts are unlikely", hint="--likelihood-limit -1 says it")
    return Attempts(temperatures or (0.0,), repetition, likelihood, silence, previous)


def asked_of(options: dict[str, Any], *, times: bool = False, attempts: Attempts | None = None) -> Asked:
    """How an attention decoder is asked for a text."""
    from mctc.decode.attempts import Attempts
    from mctc.runtime.decoding import Asked

    start, end, longest = (options[name] for name in ("start", "end", "max_tokens"))
    return Asked(start, end, longest, times, options["context"], options["prefix"], attempts or Attempts())


def settings_of(options: dict[str, Any]) -> Settings:
    """The settings of a search; takes its options out of those of a command. Raises ValueError."""
    from mctc.decode.settings import Settings

    return Settings(**{name: options.pop(name) for name in NAMES})


def fused_of(options: dict[str, Any], settings: Settings) -> Fused:
    """What is fused into a search; takes its options out of those of a command. Raises UsageError for any with greedy
    search."""
    from mctc.runtime.scorers import Fused

    hotwords, boost, ngrams = (options.pop(name) for name in ("hotwords", "boost", "ngrams"))
    fused = Fused(hotwords, boost, tuple(_weighed(each) for each in ngrams))
    if fused and settings.method == "greedy":
        raise UsageError(
            "hotwords and n-grams choose among hypotheses, and greedy search has one",
            hint="--search time-synchronous, or --search beam",
        )
    return fused


def scorers_asked(options: dict[str, Any], model: Recogniser, settings: Settings) -> list[Scorer]:
    """The scorers of a search; takes their options out of those of a command.

    Raises UsageError for any with greedy search or for a build without tokens, and what reading their files raises.
    """
    fused = fused_of(options, settings)
    if not fused:
        return []
    if model.built.tokens is None:
        raise UsageError(f"{model.built.folder} has no tokens to spell hotwords and n-grams with", hint=NAMELESS)
    return fused.scorers(model.built.tokens, model.vocabulary.size)


def _weighed(text: str) -> tuple[Path, float]:
    """'domain.arpa=0.5' as a file and its weight."""
    file, equals, weight = text.rpartition("=")
    try:
        return (Path(file), float(weight)) if equals else (Path(text), WEIGHT)
    except ValueError as error:
        raise UsageError(f"--ngram {text}: {weight!r} is no weight", hint="--ngram domain.arpa=0.5") from error
