"""An n-gram language model over labels as a scorer, back-off exact (Katz 1987; Jurafsky and Martin 2024, chapter 3).

With a negative weight it takes off what a low-order model of the training text says, which is close to what a
transducer has learned of its labels: LODR (Zheng et al. 2022) is a model of the domain and a bigram of the training
text, with weights of 0.5 and -0.25 or so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mctc.decode.engine import State
from mctc.decode.frames import Floats
from mctc.records import dataclass

KEPT = 4096  # contexts whose rows are kept
START, END, UNKNOWN = "<s>", "</s>", "<unk>"

Symbols = tuple[str, ...]


@dataclass(frozen=True)
class NGrams:
    """What an ARPA file holds, in natural logarithms: of each n-gram its probability and its back-off weight."""

    order: int
    entries: Mapping[Symbols, tuple[float, float]]


class NGramScorer:
    """A Scorer (mctc.decode.fusion). A state is a context: as many of the last symbols as the model can make use of.

    names: the model's symbol for each label, None for a label that it shall say nothing of. weight: what its logarithms
    are multiplied by. Labels whose symbol the model does not know have the probability of <unk> or, without one, that
    of the least likely symbol. An utterance begins behind <s> and ends with </s>, where the model has them.
    """

    def __init__(self, model: NGrams, names: Sequence[str | None], weight: float = 1.0) -> None:
        self.model, self.weight, self.size = model, weight, len(names)
        unigrams = [symbols[0] for symbols in model.entries if len(symbols) == 1]
        self._columns = {name: at for at, name in enumerate(unigrams)}
        self._unknown = UNKNOWN if UNKNOWN in self._columns else min(unigrams, key=lambda name: model.entries[name,][0])
        self._names = [name if name in self._columns else self._unknown for name in names]
        self._silent = np.array([name is None for name in names], bool)
        self._of_label = np.array([self._columns[name] for name in self._names])
        self._followed = _by_context(model.entries)
        self._rows: dict[Symbols, Floats] = {}

    def start(self) -> State:
        return self._shortened((START,)) if START in self._columns else ()

    def advance(self, labels: Sequence[int], states: Sequence[State]) -> list[State]:
        return [
            state if self._silent[label] else self._shortened((*state, self._names[label]))
            for label, state in zip(labels, states, strict=True)
        ]

    def scores(self, states: Sequence[State]) -> Floats:
        rows = np.stack([self._row(state) for state in states])[:, self._of_label]
        rows[:, self._silent] = 0.0
        return self.weight * rows

    def ends(self, states: Sequence[State]) -> Floats:
        if END not in self._columns:
            return np.zeros(len(states))
        return self.weight * np.array([self._row(state)[self._columns[END]] for state in states])

    def _shortened(self, context: Symbols) -> Symbols:
        """The longest end of a context that has anything of its own."""
        context = context[-(self.model.order - 1) :] if self.model.order > 1 else ()
        while context and context not in self._followed:
            context = context[1:]
        return context

    def _row(self, context: Symbols) -> Floats:
        """Log-probabilities [symbols] behind a context: those of its own n-grams; of others the back-off weight and
        what the shorter context says."""
        found = self._rows.get(context)
        if found is None:
            if context:
                backoff = self.model.entries.get(context, (0.0, 0.0))[1]
                found = self._row(self._shortened(context[1:])) + backoff
            else:
                found = np.full(len(self._columns), -np.inf)
            for name, probability in self._followed[context].items():
                found[self._columns[name]] = probability
            if len(self._rows) >= KEPT:
                self._rows.clear()
            self._rows[context] = found
        return found


def _by_context(entries: Mapping[Symbols, tuple[float, float]]) -> dict[Symbols, dict[str, float]]:
    """What follows each context; a context that others begin with or that has a back-off weight is there, too."""
    found: dict[Symbols, dict[str, float]] = {(): {}}
    for symbols, (probability, backoff) in entries.items():
        found.setdefault(symbols[:-1], {})[symbols[-1]] = probability
        for context in (symbols[:end] for end in range(len(symbols) - 2, 0, -1)):
            if context in found:
                break
            found[context] = {}
        if backoff:
            found.setdefault(symbols, {})
    return found


def symbols_of(pieces: Iterable[str | None]) -> list[str | None]:
    """Names for labels as files of n-grams over pieces write them: a space is U+2581, as SentencePiece has it."""
    return [None if piece is None else piece.replace(" ", "\N{LOWER ONE EIGHTH BLOCK}") for piece in pieces]
