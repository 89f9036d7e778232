"""Two systems over the same utterances: by how much they differ, and where."""

from __future__ import annotations

from functools import cached_property

from mctc.records import dataclass
from mctc.score.bootstrap import Interval, difference
from mctc.score.summary import Scored, Summary


@dataclass(frozen=True)
class Paired:
    """one, other: of the same utterances in the same order."""

    one: Summary
    other: Summary

    @property
    def difference(self) -> float:
        """The rate of wrong words of the second less that of the first."""
        return (self.other.words.rate or 0.0) - (self.one.words.rate or 0.0)

    @property
    def interval(self) -> Interval | None:
        """Of the difference."""
        return self._drawn[0]

    @property
    def better(self) -> float:
        """The share of draws in which the second has fewer words wrong."""
        return self._drawn[1]

    @cached_property
    def flipped(self) -> list[tuple[Scored, Scored]]:
        """Utterances that they hear differently, the largest difference of errors first."""
        pairs = zip(self.one.utterances, self.other.utterances, strict=True)
        found = [(one, other) for one, other in pairs if one.heard != other.heard]
        return sorted(found, key=lambda pair: -abs(pair[1].words.errors - pair[0].words.errors))

    @cached_property
    def _drawn(self) -> tuple[Interval | None, float]:
        one, other = ([each.words for each in side.utterances] for side in (self.one, self.other))
        return difference(one, other)
