"""A transcript that is printed while it is heard: on a terminal, where words that may still change are dimmed, or word
by word as they settle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from mctc.runtime.speech import Transcript
    from mctc.tokens import Tokens

CLEAR, DIM, PLAIN = "\r\x1b[K", "\x1b[2m", "\x1b[0m"
NARROWEST = 20  # columns


class Shown(Protocol):
    """Prints the words of an utterance, all of them each time; the first `settled` never change again."""

    def show(self, words: Sequence[str], settled: int) -> None:
        """The words so far."""

    def close(self) -> None:
        """The utterance has ended, and all its words were shown as settled."""


class TerminalText:
    """Lines of at most `width` columns. The last one, which holds what may change, is drawn over."""

    def __init__(self, stream: TextIO, width: int, color: bool = True) -> None:
        self.stream, self.width, self.color = stream, max(width - 1, NARROWEST), color
        self._line, self._settled = "", 0

    def show(self, words: Sequence[str], settled: int) -> None:
        text = CLEAR
        for word in words[self._settled : settled]:
            if self._line and _columns(f"{self._line} {word}") > self.width:
                text += f"{self._line}\n"
                self._line = word
            else:
                self._line = f"{self._line} {word}" if self._line else word
        self._settled = max(self._settled, settled)
        tentative = _end_of(" ".join(words[self._settled :]), self.width - _columns(self._line) - 1)
        gap = " " if self._line and tentative else ""
        dimmed = f"{DIM}{tentative}{PLAIN}" if self.color and tentative else tentative
        self._write(f"{text}{self._line}{gap}{dimmed}")

    def close(self) -> None:
        self._write("\n")
        self._line, self._settled = "", 0

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


class SettledText:
    """One line, a word at a time."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._settled = 0

    def show(self, words: Sequence[str], settled: int) -> None:
        for at, word in enumerate(words[self._settled : settled], self._settled):
            self.stream.write(f"{' ' * bool(at)}{word}")
        self._settled = max(self._settled, settled)
        self.stream.flush()

    def close(self) -> None:
        self.stream.write("\n")
        self.stream.flush()
        self._settled = 0


def show(shown: Shown, tokens: Tokens, found: Transcript) -> None:
    """What was heard so far, or at the end."""
    from mctc.transcript.words import printable, settled

    words, ids = tokens.words(found.best.ids), found.best.ids
    if found.hypotheses:
        final = len(words)
    else:
        final = 0 if found.partial is None else settled(words, found.partial.final, len(ids))
    shown.show([printable(word.text) for word in words], final)


def _columns(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def _end_of(text: str, room: int) -> str:
    """As much of a text as there is room for, from its end: what was just said."""
    while text and _columns(text) > max(room, 0):
        text = text[1:]
    return text
