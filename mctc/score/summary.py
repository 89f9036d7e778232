"""What many records come to: counts, rates and how sure they are, speed and delays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np

from mctc.records import dataclass
from mctc.score import alignment
from mctc.score.alignment import Counts, Pair
from mctc.score.bootstrap import Interval, interval
from mctc.score.normalise import Normaliser
from mctc.score.record import Record


@dataclass(frozen=True)
class Scored:
    """A record with its texts as they are compared, the words in pairs, and the counts."""

    record: Record
    said: str
    heard: str
    pairs: tuple[Pair, ...]
    words: Counts
    characters: Counts


@dataclass(frozen=True)
class Times:
    """Of so many times in seconds."""

    count: int
    mean: float
    median: float
    p90: float


@dataclass(frozen=True)
class Summary:
    """The utterances of one system without an offset, in order, and the counts of words for every offset."""

    utterances: tuple[Scored, ...]
    offsets: Mapping[int, Counts]

    @cached_property
    def words(self) -> Counts:
        return total(each.words for each in self.utterances)

    @cached_property
    def characters(self) -> Counts:
        return total(each.characters for each in self.utterances)

    @cached_property
    def words_interval(self) -> Interval | None:
        return interval([each.words for each in self.utterances])

    @cached_property
    def characters_interval(self) -> Interval | None:
        return interval([each.characters for each in self.utterances])

    @property
    def right(self) -> int:
        """Utterances without a wrong word."""
        return sum(not each.words.errors for each in self.utterances)

    @property
    def audio_s(self) -> float:
        return sum(each.record.audio_s for each in self.utterances)

    @property
    def work_s(self) -> float:
        return sum(each.record.work_s for each in self.utterances)

    @property
    def real_time_factor(self) -> float:
        """Seconds of work per second of audio."""
        return self.work_s / self.audio_s if self.audio_s else 0.0

    @property
    def first_word(self) -> Times | None:
        """From the sound of the first label's frame until it was known, were the audio live."""
        return times([each.record.late_s for each in self.utterances if each.record.late_s is not None])

    @property
    def delay(self) -> Times | None:
        """From the end of a word to the emission of its last label."""
        return times([delay for each in self.utterances for delay in each.record.delays])

    @property
    def spread(self) -> float | None:
        """The highest rate of wrong words over the offsets less the lowest; None for one offset."""
        rates = [counts.rate for counts in self.offsets.values()]
        known = [rate for rate in rates if rate is not None]
        return max(known) - min(known) if len(rates) > 1 and known else None


def scored(record: Record, normalise: Normaliser) -> Scored:
    """Counts of a record. Raises ScoreError where jiwer isn't installed."""
    said, heard = normalise(record.said), normalise(record.heard)
    counts, pairs = alignment.words(said.split(), heard.split())
    return Scored(record, said, heard, tuple(pairs), counts, alignment.characters(said, heard))


def summarise(records: Iterable[Scored]) -> list[Summary]:
    """One for each system, in order of their numbers."""
    systems: dict[int, list[Scored]] = {}
    for each in records:
        systems.setdefault(each.record.system, []).append(each)
    return [_summary(systems[number]) for number in sorted(systems)]


def total(counts: Iterable[Counts]) -> Counts:
    return sum(counts, Counts())


def times(seconds: Sequence[float]) -> Times | None:
    """None for none."""
    if not seconds:
        return None
    median, p90 = np.quantile(seconds, (0.5, 0.9))
    return Times(len(seconds), float(np.mean(seconds)), float(median), float(p90))


def _summary(utterances: Sequence[Scored]) -> Summary:
    offsets = sorted({each.record.offset for each in utterances})
    counts = {at: total(each.words for each in utterances if each.record.offset == at) for at in offsets}
    return Summary(tuple(each for each in utterances if not each.record.offset), counts)
