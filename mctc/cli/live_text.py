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


class LiveTranscript:
    """Sees every chunk of a recording and shows its words, a line or more for each utterance."""

    def __init__(self, shown: Shown, tokens: Tokens) -> None:
        self.shown, self.tokens = shown, tokens
        self._ended = 0

    def __call__(self, found: Transcript) -> None:
        from mctc.transcript.words import settled

        for best in found.best[self._ended :]:
            words = self._words(best.ids)
            self.shown.show(words, len(words))
            self.shown.close()
            self._ended += 1
        if found.partial is not None and (ids := found.partial.best.ids):
            final = settled(self.tokens.words(ids), found.partial.final, len(ids))
            self.shown.show(self._words(ids), final)

    def _words(self, ids: Sequence[int]) -> list[str]:
        from mctc.transcript.words import printable

        return [printable(word.text) for word in self.tokens.words(ids)]


def _columns(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def _end_of(text: str, room: int) -> str:
    """As much of a text as there is room for, from its end: what was just said."""
    while text and _columns(text) > max(room, 0):
        text = text[1:]
    return text
