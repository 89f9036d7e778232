"""Subtitles: words in groups that can be read while they are spoken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from mctc.decode.timed import TimedWord
from mctc.records import dataclass
from mctc.transcript.words import spoken

LINE, LINES = 42, 2  # columns of a line, lines of a cue: what broadcasters agree on
LONGEST, PAUSE = 6.0, 0.8  # seconds of a cue; seconds of silence that end one


@dataclass(frozen=True)
class Cue:
    """Words that are shown together, from `start` to `end` in seconds."""

    start: float
    end: float
    text: str

    @property
    def lines(self) -> list[str]:
        return wrap(self.text, LINE, break_long_words=False, break_on_hyphens=False)


def cues(words: Sequence[TimedWord]) -> Iterator[Cue]:
    """Groups of words: a new one behind a pause, where the text has no more room, or after `LONGEST` seconds."""
    group: list[TimedWord] = []
    for word in words:
        if group and (
            word.start - group[-1].end > PAUSE
            or word.end - group[0].start > LONGEST
            or len(wrap(spoken([*group, word]), LINE, break_on_hyphens=False)) > LINES
        ):
            yield _cue(group)
            group = []
        group.append(word)
    if group:
        yield _cue(group)


def _cue(group: Sequence[TimedWord]) -> Cue:
    return Cue(group[0].start, group[-1].end, spoken(group))
