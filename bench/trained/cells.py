"""Numbers as cells of tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from bench.trained.model import Heard
from mctc.score.alignment import Counts
from mctc.score.bootstrap import difference, interval


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings), *lines, ""])


def rate(heard: Sequence[Heard]) -> str:
    """'12.3 % (11.0 to 13.6)': words wrong, and the middle 95 % of resamplings of the utterances."""
    counts = [each.words for each in heard]
    between = interval(counts)
    return _percent(_rate(counts)) + ("" if between is None else f" ({_span(between.low, between.high)})")


def bare(heard: Sequence[Heard]) -> str:
    """'12.3 %'."""
    return _percent(_rate([each.words for each in heard]))


def change(one: Sequence[Heard], other: Sequence[Heard]) -> tuple[str, str, str]:
    """Of the second less the first over the same utterances: words wrong in points, their interval, and how many
    utterances are heard differently. Raises ValueError for other utterances."""
    if [each.id for each in one] != [each.id for each in other]:
        raise ValueError("two systems are compared over the same utterances")
    counts = [[each.words for each in side] for side in (one, other)]
    found, between = _rate(counts[1]) - _rate(counts[0]), difference(*counts)[0]
    flipped = sum(a.text != b.text for a, b in zip(one, other))
    return (
        f"{100 * found:+.2f}",
        "" if between is None else _span(between.low, between.high),
        f"{flipped} of {len(one)}",
    )


def late(heard: Sequence[Heard]) -> tuple[str, str, str]:
    """Milliseconds from the end of a word to the emission of its last label: median, 90 %, and of how many words."""
    delays = [1000 * delay for each in heard for delay in each.delays]
    if not delays:
        return "", "", "0"
    median, most = np.quantile(delays, (0.5, 0.9))
    return f"{median:.0f} ms", f"{most:.0f} ms", f"{len(delays):,}"


def _rate(counts: Sequence[Counts]) -> float:
    return sum(counts, Counts()).rate or 0.0


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _span(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {100 * high:.1f}"
