"""A neural language model fused into a search."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from mctc.decode.engine import State
from mctc.decode.frames import Floats
from mctc.decode.neural import NeuralScorer
from mctc.decode.search import ctc_search
from mctc.decode.settings import Settings
from mctc.decode.vocabulary import Vocabulary, log_softmax

from .toy import frames_of

BEGIN, TOKENS, END = 0, (9, 5, 2), 1  # the model's tokens; of labels 0 (the blank), 1 and 2


class ToyModel:
    """Its logits depend on the last two tokens."""

    def __init__(self) -> None:
        self.table = np.random.default_rng(0).normal(size=(10, 10, 10))
        self.calls: list[int] = []

    def start(self, prompt: Sequence[int]) -> tuple[Floats, State]:
        return self.table[0, prompt[-1]], prompt[-1]

    def predict(self, labels: Sequence[int], states: Sequence[State]) -> tuple[Floats, list[State]]:
        self.calls.append(len(labels))
        return np.stack([self.table[state, label] for state, label in zip(states, labels)]), list(labels)


def test_a_label_adds_its_weighted_log_probability_and_the_end_that_of_the_end_token() -> None:
    model = ToyModel()
    told = Settings(method="beam", beam=100, window=np.inf, n_best=100)
    logits, found = frames_of(3, 3, 3), {}
    for scorers in ([], [NeuralScorer(model, TOKENS, [BEGIN], END, 0.5)]):
        search = ctc_search(Vocabulary.first(3), told, scorers)
        search.accept(logits)
        found[bool(scorers)] = {each.ids: each.score for each in search.finish()}
    for ids, score in found[True].items():
        before, last, added = 0, BEGIN, 0.0
        for token in [*(TOKENS[label] for label in ids), END]:
            added += log_softmax(model.table[before, last])[token]
            before, last = last, token
        assert score == pytest.approx(found[False][ids] + 0.5 * added)
    assert max(model.calls) > 1
