"""An n-gram language model over words as a scorer of labels that spell them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mctc.decode.engine import State
from mctc.decode.frames import Floats
from mctc.decode.ngram import NGrams, NGramScorer

SPACE = b" "


class WordNGramScorer:
    """A Scorer (mctc.decode.fusion): a word adds its log-probability where it ends, with the label that begins the next
    one or with the end of the utterance.

    pieces: UTF-8 bytes of each label, a space among them where a word begins, b"" for labels that are no text. weight:
    what logarithms are multiplied by. A state is the context, and the bytes of the word that is being spelled. A word
    that the model does not know is its <unk>, or its least likely word.
    """

    def __init__(self, model: NGrams, pieces: Sequence[bytes], weight: float = 1.0) -> None:
        self.pieces, self.size = tuple(pieces), len(pieces)
        words = dict.fromkeys(symbols[0] for symbols in model.entries if len(symbols) == 1)
        self._labels = {word: at for at, word in enumerate(words)}
        self._words = NGramScorer(model, [*words, ""], weight)  # the last stands for a word that is not known
        self._ending = [at for at, piece in enumerate(self.pieces) if SPACE in piece]

    def start(self) -> State:
        return self._words.start(), b""

    def advance(self, labels: Sequence[int], states: Sequence[State]) -> list[State]:
        return [self._spelled(state, self.pieces[label])[1] for label, state in zip(labels, states, strict=True)]

    def scores(self, states: Sequence[State]) -> Floats:
        return np.stack([self._row(state) for state in states])

    def ends(self, states: Sequence[State]) -> Floats:
        found = [self._spelled(state, SPACE) for state in states]
        return np.array([added for added, _ in found]) + self._words.ends([context for _, (context, _) in found])

    def _row(self, state: State) -> Floats:
        """What each label adds: nothing where no word ends with it."""
        found = np.zeros(self.size)
        before, _ = self._spelled(state, SPACE)
        for label in self._ending:
            whole = self.pieces[label].startswith(SPACE) and SPACE not in self.pieces[label][1:]
            found[label] = before if whole else self._spelled(state, self.pieces[label])[0]
        return found

    def _spelled(self, state: State, piece: bytes) -> tuple[float, State]:
        """What a piece adds behind a state, and the state then."""
        context, spelled = state
        added = 0.0
        *ended, rest = (spelled + piece).split(SPACE)
        for word in filter(None, ended):
            label = self._labels.get(word.decode("utf-8", "replace"), len(self._labels))
            added += float(self._words.scores([context])[0, label])
            (context,) = self._words.advance([label], [context])
        return added, (context, rest)
