"""ARPA files: n-grams with log10 probabilities and back-off weights, as SRILM, KenLM and IRSTLM write them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

from mctc.decode.ngram import NGrams, Symbols
from mctc.diagnostics.errors import MctcError

SECTION = re.compile(r"\\(\d+)-grams:")
COUNT = re.compile(r"ngram\s+(\d+)\s*=\s*(\d+)")
LN10 = math.log(10.0)
LEAST = -99.0  # how such files write a probability of zero
Lines = Iterator[tuple[int, str]]


class ArpaError(MctcError):
    """A file that is no ARPA file, or damaged; names the file, the line and what was expected there."""


def read_arpa(path: Path) -> NGrams:
    """The n-grams of an ARPA file, gzipped where its name ends in .gz. Raises ArpaError."""
    try:
        import gzip  # no other search needs it

        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8") as file:
            lines = ((number, line.strip()) for number, line in enumerate(file, 1))
            return _Reader(path, ((number, line) for number, line in lines if line)).read()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ArpaError(f"{path} can't be read: {error}") from error


class _Reader:
    """One file: its lines that are not empty, with their numbers."""

    def __init__(self, path: Path, lines: Lines) -> None:
        self.path, self.lines = path, lines

    def read(self) -> NGrams:
        for _, line in self.lines:
            if line == "\\data\\":
                break
        else:
            raise ArpaError(f"{self.path} has no line \\data\\, so it is no ARPA file")
        counts: dict[int, int] = {}
        number, line = self._next()
        while (match := COUNT.fullmatch(line)) is not None:
            counts[int(match[1])] = int(match[2])
            number, line = self._next()
        if list(counts) != list(range(1, len(counts) + 1)) or not counts or not counts[1]:
            raise self._at(number, "the counts of n-grams, `ngram 1=...` and so on, belong before this line")
        entries: dict[Symbols, tuple[float, float]] = {}
        for order, count in counts.items():
            match = SECTION.fullmatch(line)
            if match is None or int(match[1]) != order:
                raise self._at(number, f"`\\{order}-grams:` was expected")
            number, line = self._section(order, count, entries)
        if line != "\\end\\":
            raise self._at(number, "`\\end\\` was expected")
        return NGrams(len(counts), entries)

    def _section(self, order: int, count: int, entries: dict[Symbols, tuple[float, float]]) -> tuple[int, str]:
        """Reads the n-grams of an order; the line behind them."""
        found = 0
        while True:
            number, line = self._next()
            if line.startswith("\\"):
                break
            parts = line.split()
            try:
                if not 0 <= len(parts) - order - 1 <= 1:
                    raise ValueError
                probability, backoff = float(parts[0]), float(parts[order + 1]) if len(parts) > order + 1 else 0.0
                if not (probability <= 0 and math.isfinite(backoff)):
                    raise ValueError
            except ValueError as error:
                form = f"a log10 probability, {order} symbols and perhaps a back-off weight"
                raise self._at(number, f"{form} were expected") from error
            entries[tuple(parts[1 : order + 1])] = LN10 * max(probability, LEAST), LN10 * backoff
            found += 1
        if found != count:
            raise self._at(number, f"{count} {order}-grams were announced, and {found} are there")
        return number, line

    def _next(self) -> tuple[int, str]:
        for number, line in self.lines:
            return number, line
        raise ArpaError(f"{self.path} ends before its line \\end\\")

    def _at(self, number: int, problem: str) -> ArpaError:
        return ArpaError(f"{self.path}:{number}: {problem}")
