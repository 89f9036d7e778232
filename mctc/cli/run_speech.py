"""`mctc run BUILD AUDIO`: recordings become transcripts, as they are heard."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from mctc.cli.live_text import LiveTranscript, SettledText, Shown, TerminalText
from mctc.cli.recording import Live, Source
from mctc.cli.requests import TranscriptRequest
from mctc.cli.terminal import color_wanted, lines_may_move
from mctc.cli.verbosity import Verbosity, verbosity
from mctc.diagnostics.errors import UsageError
from mctc.records import dataclass
from mctc.tokens.errors import NAMELESS

if TYPE_CHECKING:
    from mctc.decode.fusion import Scorer
    from mctc.decode.hypothesis import Hypothesis
    from mctc.decode.settings import Settings
    from mctc.runtime.built import Built
    from mctc.runtime.searched import Recogniser
    from mctc.runtime.speech import Transcript
    from mctc.tokens import Tokens

OF_WORDS = ("srt", "vtt", "ctm")


@dataclass(frozen=True)
class Listener:
    """A build that hears one recording after another, with what is fused into its search."""

    built: Built
    model: Recogniser
    settings: Settings
    precision: str | None
    scorers: Sequence[Scorer] = ()

    @property
    def tokens(self) -> Tokens | None:
        """What makes words; None where labels mean nothing, since the build is untrained, or aren't named."""
        return None if self.built.seed is not None else self.built.tokens

    def hear(self, source: Source, wanted: TranscriptRequest) -> str:
        """The second result of `listen`."""
        return self.listen(source, wanted)[1]

    def listen(self, source: Source, wanted: TranscriptRequest) -> tuple[Transcript, str]:
        """What was heard, and its transcript in the form that is asked for; "" where it was printed meanwhile.

        Raises what `mctc.runtime.speech.transcribe` raises, and UsageError for words of a build that has no tokens.
        """
        from mctc.decode.endpoint import Endpointer
        from mctc.runtime.recognition import RECORDED
        from mctc.runtime.speech import listen
        from mctc.runtime.stream import SpeechStream

        tokens = self.tokens
        if tokens is None and self.built.seed is None and wanted.form in OF_WORDS:
            raise UsageError(f"{self.built.folder} has no tokens, so there are no words", hint=NAMELESS)
        stream = SpeechStream(self.model, self.settings, self.scorers)
        blocks = source.blocks(stream.chunk_samples, stream.config.sample_rate)
        shown = None if tokens is None else _shown(source, wanted)
        live = None if shown is None or tokens is None else LiveTranscript(shown, tokens)
        quiet = frozenset[int]() if self.built.tokens is None else self.built.tokens.white_space
        found = listen(stream, blocks, live, Endpointer(stream.frame_s, RECORDED, quiet))
        self._tell(source, found, wanted)
        return found, self._written(source.name, found, wanted) if live is None else ""

    def _written(self, name: str, found: Transcript, wanted: TranscriptRequest) -> str:
        from mctc.cli.run_report import as_record
        from mctc.runtime.recognition import of_frames
        from mctc.transcript.formats import FORMATS

        tokens = self.tokens
        recognition = None if tokens is None else of_frames(tokens, found)
        words = () if recognition is None else recognition.words
        if wanted.form == "json":
            import json

            text = None if recognition is None else recognition.text
            record = as_record(self.built, name, self.precision, found, text, words, stats=wanted.stats)
            return json.dumps(record, indent=None if wanted.several else 2, ensure_ascii=False) + "\n"
        if self.built.seed is not None:
            return ""
        if wanted.form != "text":
            return FORMATS[wanted.form](words, name)
        lines = [_line(tokens, best) for best in found.best] or [""]
        return "".join(f"{name}\t{line}\n" if wanted.several else f"{line}\n" for line in lines)

    def _tell(self, source: Source, found: Transcript, wanted: TranscriptRequest) -> None:
        """What it cost, and what its numbers mean, on standard error."""
        from mctc.cli.run_report import cost_lines, summary, untrained

        quiet, told = verbosity() is Verbosity.QUIET, list[str]()
        if wanted.stats:
            told += cost_lines(self.built, source.name, self.precision, found)
        elif not quiet and sys.stderr.isatty():
            told.append(summary(found))
        if self.built.seed is not None and not quiet:
            told += untrained(self.built, "labels")
        elif self.built.tokens is None and wanted.form == "text" and not quiet:
            told.append(f"these are numbers of classes: {NAMELESS}")
        for line in told:
            click.echo(line, err=True)


def _line(tokens: Tokens | None, best: Hypothesis) -> str:
    """An utterance in one line; its labels by number where they aren't named."""
    from mctc.transcript.words import printable

    return " ".join(map(str, best.ids)) if tokens is None else printable(tokens.text(best.ids))


def _shown(source: Source, wanted: TranscriptRequest) -> Shown | None:
    """What prints text while it is heard: on a terminal, and of sound that comes while it is heard."""
    moving = lines_may_move(sys.stdout)
    if wanted.form != "text" or wanted.output is not None or not (moving or isinstance(source, Live)):
        return None
    if not moving:
        return SettledText(sys.stdout)
    if wanted.several:
        click.secho(source.name, bold=True, color=None if color_wanted(sys.stdout) else False)
    from shutil import get_terminal_size

    return TerminalText(sys.stdout, get_terminal_size().columns, color_wanted(sys.stdout))
