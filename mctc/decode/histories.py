"""Label sequences as a tree: each is the one before it and one label more, so hypotheses share what they have in
common.

Whatever is computed for a label sequence is kept at its place in the tree and computed once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from typing import NamedTuple

from mctc.decode.engine import State
from mctc.decode.frames import Floats
from mctc.records import dataclass

ROOT = -1  # the label of a sequence without labels


@dataclass(eq=False, slots=True)
class History:
    """A label sequence.

    state, vector: the predictor's; while the vector is None, the state is that of the sequence before. scores: of each
    frame from `first` on of the block of frames `block`. fusion, adds: states of the scorers, and what they add for
    each label that may follow; while `adds` is None, the states are those of the sequence before. fused: what the
    scorers have added for the labels of the sequence.
    """

    before: History | None = None
    label: int = ROOT
    length: int = 0
    after: dict[int, History] = field(default_factory=dict)
    state: State = None
    vector: Floats | None = None
    scores: Floats | None = None
    block: int = -1
    first: int = 0
    fusion: tuple[State, ...] = ()
    adds: Floats | None = None
    fused: float = 0.0

    def extended(self, label: int) -> History:
        """The sequence with one label more: the same object for the same label."""
        found = self.after.get(label)
        if found is None:
            fused = self.fused + (0.0 if self.adds is None else float(self.adds[label]))
            found = self.after[label] = History(
                self, label, self.length + 1, state=self.state, fusion=self.fusion, fused=fused
            )
        return found

    def labels_behind(self, base: History) -> list[int]:
        """The labels behind a sequence that this one begins with."""
        labels, at = [], self
        while at is not base:
            assert at.before is not None
            labels.append(at.label)
            at = at.before
        return labels[::-1]


class Emitted(NamedTuple):
    """Where a label was emitted, and its probability there."""

    frame: int
    confidence: float


class HistoryEntry(NamedTuple):
    """A hypothesis of a beam. score: natural logarithm of its probability, without what is fused. trace: where on its
    best alignment each label behind those that are final was emitted."""

    history: History
    score: float
    trace: tuple[Emitted, ...] = ()

    @property
    def total(self) -> float:
        """The score with what is fused."""
        return self.score + self.history.fused


def shared(histories: Iterable[History]) -> History:
    """The longest sequence that all begin with."""
    left = set(histories)
    while len(left) > 1:
        longest = max(each.length for each in left)
        left = {each.before if each.length == longest and each.before else each for each in left}
    return left.pop()


def forget(old: History, base: History, live: Iterable[History]) -> None:
    """Cuts the tree down to what is behind `base` on the way to the sequences that live on."""
    at = base
    while at is not old:
        assert at.before is not None
        above, at.before = at.before, None
        above.after = {}
        at = above
    kept: set[History] = {base}
    for history in live:
        while history not in kept:
            kept.add(history)
            assert history.before is not None
            history = history.before
    for each in kept:
        each.after = {label: found for label, found in each.after.items() if found in kept}
