"""Parts of a text between its times, and where the next window of a long recording begins.

The rules are Whisper's (Radford et al. 2022, section 3.8, and the code published with it): a window goes on from the
last time behind which nothing was said for certain.
"""

from __future__ import annotations

from collections.abc import Sequence

from mctc.records import dataclass


@dataclass(frozen=True)
class Segment:
    """Labels, times among them, from `start` to `end` in seconds of the recording."""

    start: float
    end: float
    labels: tuple[int, ...]


def segments(
    labels: Sequence[int], zero: int, step_s: float, begun_s: float, window_s: float
) -> tuple[list[Segment], float]:
    """The parts of what was heard in a window that begins at `begun_s` and has `window_s` of sound, and by how many
    seconds the next window begins later.

    Labels from `zero` on are times in steps of `step_s`.
    """
    marks = [label >= zero for label in labels]
    cuts = [at for at in range(1, len(labels)) if marks[at] and marks[at - 1]]

    def time(at: int) -> float:
        return (labels[at] - zero) * step_s

    if not cuts:
        last = next((time(at) for at in range(len(labels) - 1, -1, -1) if labels[at] > zero), window_s)
        part = Segment(begun_s, begun_s + last, tuple(labels))
        return ([part] if labels else []), window_s
    whole = marks[-2:] == [False, True]  # a time alone at the end: what follows is silence
    ends = [*cuts, len(labels)] if whole else cuts
    starts = [0, *ends[:-1]]
    found = [
        Segment(begun_s + time(first), begun_s + time(last - 1), tuple(labels[first:last]))
        for first, last in zip(starts, ends, strict=True)
    ]
    return found, window_s if whole else time(ends[-1] - 1)
