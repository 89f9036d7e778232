"""Hotwords: phrases that are more likely than the model knows, found in all hypotheses at once (Aho and Corasick 1975).

The phrases make a tree, in which every place has a failure link: to the longest other place whose labels are the last
labels of it. A label that goes on in a phrase adds the phrase's boost, so that a beam keeps the hypothesis until the
phrase is whole; where a phrase breaks off, the link gives back what it had added. So a finished utterance has gained
the boost of every label of every phrase that occurs in it, and nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np

from mctc.decode.engine import State
from mctc.decode.frames import Floats
from mctc.records import dataclass

ROOT = 0
KEPT = 4096  # places whose rows are kept


@dataclass(frozen=True)
class Phrase:
    """Labels that are a hotword, and what each of them adds: a natural logarithm."""

    ids: tuple[int, ...]
    boost: float = 1.0


class Hotwords:
    """A Scorer (mctc.decode.fusion) over phrases. A state is a place of the tree.

    size: labels of the model. around: the label between words, where one stands for that alone: a phrase then counts
    as whole words, behind that label or the start and before it or the end. Where phrases share their first labels,
    those add the highest boost. Raises ValueError for a phrase without labels or a label too high.
    """

    def __init__(self, phrases: Iterable[Phrase], size: int, around: int | None = None) -> None:
        self.size, self.around = size, around
        self._next: list[dict[int, int]] = [{}]
        self._boost, self._open = [0.0], [0.0]  # of the last label; of the labels that no whole phrase holds yet
        self._whole = [0.0]  # what phrases gain that end at a place
        for phrase in phrases:
            self._add(phrase)
        self._fail = [ROOT] * len(self._next)
        self._link()
        self._rows: dict[int, Floats] = {}

    def start(self) -> State:
        return ROOT if self.around is None else self._next[ROOT].get(self.around, ROOT)

    def advance(self, labels: Sequence[int], states: Sequence[State]) -> list[State]:
        return [self._follow(state, label) for label, state in zip(labels, states, strict=True)]

    def scores(self, states: Sequence[State]) -> Floats:
        return np.stack([self._row(state) for state in states])

    def ends(self, states: Sequence[State]) -> Floats:
        found = []
        for state in states:
            whole = 0.0 if self.around is None else self._whole[self._follow(state, self.around)]
            found.append(whole - self._open[state])
        return np.array(found)

    def _add(self, phrase: Phrase) -> None:
        edge = [] if self.around is None else [(self.around, 0.0)]
        labels = [*edge, *((label, phrase.boost) for label in phrase.ids), *edge]
        if not phrase.ids or any(not 0 <= label < self.size for label, _ in labels):
            raise ValueError(f"a hotword has labels from 0 to {self.size - 1}, at least one, not {list(phrase.ids)}")
        place = ROOT
        for label, boost in labels:
            if label not in self._next[place]:
                self._next[place][label] = len(self._next)
                self._next.append({})
                self._boost.append(boost)
                self._open.append(0.0)
                self._whole.append(0.0)
            place = self._next[place][label]
            self._boost[place] = max(self._boost[place], boost)
        self._whole[place] = phrase.boost * len(phrase.ids)

    def _link(self) -> None:
        """Fills in failure links and what depends on them, the places of fewer labels first."""
        ends = {place for place, whole in enumerate(self._whole) if whole}
        waiting = deque([ROOT])
        while waiting:
            place = waiting.popleft()
            for label, child in self._next[place].items():
                self._fail[child] = self._follow(self._fail[place], label) if place != ROOT else ROOT
                self._open[child] = 0.0 if child in ends else self._open[place] + self._boost[child]
                self._whole[child] += self._whole[self._fail[child]]
                waiting.append(child)

    def _follow(self, place: int, label: int) -> int:
        while label not in self._next[place] and place != ROOT:
            place = self._fail[place]
        return self._next[place].get(label, ROOT)

    def _row(self, place: int) -> Floats:
        """What each label adds behind a place, [size]."""
        found = self._rows.get(place)
        if found is None:
            found = np.zeros(self.size)
            chain = [place]
            while chain[-1] != ROOT:
                chain.append(self._fail[chain[-1]])
            for each in reversed(chain):
                for label, child in self._next[each].items():
                    found[label] = self._open[child] + self._whole[child]
            found -= self._open[place]
            if len(self._rows) >= KEPT:
                self._rows.clear()
            self._rows[place] = found
        return found
