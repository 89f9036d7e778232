"""The result in lines for people."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.score.alignment import Counts
from mctc.score.bootstrap import Interval
from mctc.score.paired import Paired
from mctc.score.result import Result
from mctc.score.summary import Summary, Times
from mctc.transcript.words import printable


def lines(result: Result) -> Iterator[str]:
    """Of each system, and of the difference of two."""
    if result.shard.count > 1:
        yield f"shard {result.shard.number} of {result.shard.count}; mctc score --merge adds them up"
    for about, summary in zip(result.builds, result.systems):
        runtime = f"{about['precision']}, {about['runtime']}{', whole utterances' if about.get('whole') else ''}"
        told = f"{runtime}; {about['search']['method']} search; {result.normaliser} texts"
        yield f"{about['build']}: {about['model']} ({told})"
        yield from _of_one(summary)
    if result.paired is not None:
        yield from _of_two(result.paired, *(str(about["build"]) for about in result.builds))


def _of_one(summary: Summary) -> Iterator[str]:
    count, minutes = len(summary.utterances), summary.audio_s / 60
    yield f"  {count:,} utterance{'s' * (count != 1)}, {minutes:.1f} min; {summary.right:,} without a wrong word"
    yield f"  words wrong       {_rate(summary.words, summary.words_interval)}"
    yield f"  characters wrong  {_rate(summary.characters, summary.characters_interval)}"
    yield f"  real-time factor  {summary.real_time_factor:.3f}"
    if summary.first_word is not None:
        yield f"  first word        {_times(summary.first_word)} after its sound, were the audio live"
    if summary.delay is not None:
        yield f"  words emitted     {_times(summary.delay)} after their end ({summary.delay.count:,} words)"
    if summary.spread is not None:
        rates = ", ".join(_percent(counts.rate) for counts in summary.offsets.values())
        yield f"  started {min(summary.offsets)} to {max(summary.offsets)} frames later: {rates} of words wrong"
        yield f"  spread            {_percent(summary.spread)}"


def _of_two(paired: Paired, one: str, other: str) -> Iterator[str]:
    yield f"{other} less {one}:"
    between = "" if paired.interval is None else f" (95 %: {_span(paired.interval)})"
    fewer = f"fewer in {100 * paired.better:.0f} % of draws"
    yield f"  words wrong       {100 * paired.difference:+.2f} %{between}; {fewer}"
    yield f"  {len(paired.flipped):,} of {len(paired.one.utterances):,} utterances are heard differently"
    for first, second in paired.flipped:
        yield f"  {first.record.id}: {first.words.errors} and {second.words.errors} words wrong"
        for name, text in (("said", first.said), ("1", first.heard), ("2", second.heard)):
            yield f"    {name:5}{printable(text)}"


def _rate(counts: Counts, interval: Interval | None) -> str:
    """'12.34 % (95 %: 11.02 to 13.75): 12 of 100: 8 substitutions, 3 deletions, 1 insertion'."""
    between = "" if interval is None else f" (95 %: {_span(interval)})"
    kinds = ", ".join(
        f"{number:,} {name}{'s' * (number != 1)}"
        for number, name in (
            (counts.substitutions, "substitution"), (counts.deletions, "deletion"), (counts.insertions, "insertion")
        )
    )  # fmt: skip
    return f"{_percent(counts.rate)}{between}: {counts.errors:,} of {counts.said:,}: {kinds}"


def _percent(rate: float | None) -> str:
    return "nothing said" if rate is None else f"{100 * rate:.2f} %"


def _span(interval: Interval) -> str:
    return f"{100 * interval.low:.2f} to {100 * interval.high:.2f}"


def _times(times: Times) -> str:
    return f"{1000 * times.median:.0f} ms (90 %: {1000 * times.p90:.0f} ms)"
