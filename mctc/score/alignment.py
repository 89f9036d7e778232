"""What was said beside what was heard, with the fewest differences, and how many there are. jiwer does the work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mctc.records import dataclass
from mctc.score.errors import ScoreError
from mctc.score.normalise import EXTRA

Pair = tuple[str | None, str | None]
"""A word that was said and what was heard in its place; None where one has no counterpart."""


@dataclass(frozen=True)
class Counts:
    """said: words, or characters, of the reference. The rest are edits."""

    said: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.said + other.said,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float | None:
        """Errors for each that was said; None where nothing was."""
        return self.errors / self.said if self.said else None


def words(said: Sequence[str], heard: Sequence[str]) -> tuple[Counts, list[Pair]]:
    """Counts of words, none of them with white space in it, and the words in pairs."""
    found = jiwer().process_words(" ".join(said), " ".join(heard))
    pairs: list[Pair] = []
    for part in found.alignments[0]:
        one = list(said[part.ref_start_idx : part.ref_end_idx])
        other = list(heard[part.hyp_start_idx : part.hyp_end_idx])
        length = max(len(one), len(other))
        pairs += zip(_filled(one, length), _filled(other, length), strict=True)
    return _counts(found, len(said)), pairs


def characters(said: str, heard: str) -> Counts:
    """Counts of characters, spaces between words among them."""
    return _counts(jiwer().process_characters(said, heard), len(said))


def _counts(found: Any, said: int) -> Counts:
    return Counts(said, found.substitutions, found.deletions, found.insertions)


def _filled(words: list[str], length: int) -> list[str | None]:
    return [*words, *[None] * (length - len(words))]


def jiwer() -> Any:
    """The library. Raises ScoreError where it isn't installed."""
    try:
        import jiwer as library
    except ImportError as error:
        raise ScoreError(f"aligning texts needs the package jiwer ({error})", hint=EXTRA) from error
    return library
