"""Greedy search with durations against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mctc.decode.search import transducer_search
from mctc.decode.settings import Settings
from mctc.decode.vocabulary import Vocabulary, log_softmax

from .toy import ToyTransducer, cut, frames_of

LABELS, DURATIONS = 4, (0, 1, 2, 5)
WORDS = Vocabulary.first(LABELS)


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), sizes=st.lists(st.integers(0, 6), max_size=5), most=st.integers(1, 3))
def test_it_goes_on_by_the_best_duration(seed: int, sizes: list[int], most: int) -> None:
    encoded = frames_of(seed + 1, 14)
    model = ToyTransducer(seed, LABELS, frames=3, extra=len(DURATIONS))
    told = Settings(durations=DURATIONS, max_symbols=most)
    search = transducer_search(model, WORDS, told)
    partials = [search.accept(part) for part in cut(encoded, sizes)]
    (found,) = search.finish()

    (vector,), (state,) = model.predict([0], [model.start()])
    ids, frames, score, at, symbols = [], [], 0.0, 0, 0
    while at < len(encoded):
        logits = model.logits(encoded[at], vector)
        token, span = int(logits[:LABELS].argmax()), int(logits[LABELS:].argmax())
        score += float(log_softmax(logits[:LABELS])[token] + log_softmax(logits[LABELS:])[span])
        goes_on = DURATIONS[span]
        if token:
            ids.append(token)
            frames.append(at)
            (vector,), (state,) = model.predict([token], [state])
            symbols += 1
        if goes_on == 0 and (token == 0 or symbols == most):
            goes_on = 1
        at, symbols = at + goes_on, 0 if goes_on else symbols
    assert (list(found.ids), list(found.frames)) == (ids, frames)
    assert found.score == pytest.approx(score)
    assert all(each.best.ids == found.ids[: each.final] for each in partials)


def test_durations_are_refused_where_they_mean_nothing() -> None:
    with pytest.raises(ValueError, match="one of them at least 1"):
        Settings(durations=(0,))
    with pytest.raises(ValueError, match="take the time-synchronous beam"):
        transducer_search(ToyTransducer(0), WORDS, Settings(method="beam", durations=(0, 1)))
    narrow = ToyTransducer(0, LABELS, extra=2)
    search = transducer_search(narrow, WORDS, Settings(durations=(0, 1, 2)))
    with pytest.raises(Exception, match="4 labels and 3 durations"):
        search.accept(np.zeros((1, 3)))
