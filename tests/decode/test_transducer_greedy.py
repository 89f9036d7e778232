"""Greedy search against its one-frame-at-a-time definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mctc.decode.frames import DecodeError, Floats
from mctc.decode.search import transducer_search
from mctc.decode.settings import Settings
from mctc.decode.vocabulary import Vocabulary, log_softmax

from .toy import ToyTransducer, cut, frames_of

LABELS = 4
WORDS = Vocabulary.first(LABELS)


def by_definition(
    model: ToyTransducer, encoded: Floats, most: int, penalty: float
) -> tuple[list[int], list[int], float]:
    """Labels, their frames and the score of the alignment."""
    (vector,), (state,) = model.predict([0], [model.start()])
    ids, frames, score = [], [], 0.0
    for frame, row in enumerate(encoded):
        for _ in range(most):
            logits = model.logits(row, vector)[:LABELS]
            logits[0] -= penalty
            label = int(np.argmax(logits))
            score += float(log_softmax(logits)[label])
            if label == 0:
                break
            ids.append(label)
            frames.append(frame)
            (vector,), (state,) = model.predict([label], [state])
    return ids, frames, score


@settings(max_examples=100)
@given(
    seed=st.integers(0, 10_000),
    sizes=st.lists(st.integers(0, 6), max_size=5),
    bias=st.floats(-3, 3),
    penalty=st.floats(0, 2),
    most=st.integers(1, 4),
    frames=st.integers(1, 7),
)
def test_it_finds_what_the_definition_finds(
    seed: int, sizes: list[int], bias: float, penalty: float, most: int, frames: int
) -> None:
    encoded = frames_of(seed + 1, 12)
    model = ToyTransducer(seed, LABELS, bias, frames)
    search = transducer_search(model, WORDS, Settings(max_symbols=most, blank_penalty=penalty))
    partials = [search.accept(part) for part in cut(encoded, sizes)]
    (found,) = search.finish()
    ids, places, score = by_definition(ToyTransducer(seed, LABELS, bias), encoded, most, penalty)
    assert (list(found.ids), list(found.frames)) == (ids, places)
    assert found.score == pytest.approx(score)
    assert model.predicted == [0, *ids]
    for each in partials:
        assert each.final == len(each.best.ids)
        assert each.best.ids == found.ids[: each.final]
    assert partials[-1].frames == search.frames == 12


def test_an_utterance_starts_anew_and_the_frames_go_on() -> None:
    model, encoded = ToyTransducer(3, LABELS, 0.5), frames_of(4, 10)
    search = transducer_search(model, WORDS, Settings())
    search.accept(encoded)
    first = search.finish()[0]
    search.accept(encoded)
    second = search.finish()[0]
    assert first.ids
    assert (second.ids, second.score) == (first.ids, first.score)
    assert second.frames == tuple(frame + 10 for frame in first.frames)


def test_silence_costs_one_joiner_call_a_chunk_and_never_steps_the_predictor() -> None:
    model = ToyTransducer(1, LABELS, 1e5)
    search = transducer_search(model, WORDS, Settings())
    search.accept(frames_of(2, 8))
    assert search.accept(frames_of(3, 8)).best.ids == ()
    assert model.calls == [1]


def test_confidence_is_the_probability_of_the_label() -> None:
    model = ToyTransducer(5, LABELS, -1e5)
    encoded = frames_of(6, 1)
    (vector,), _ = model.predict([0], [model.start()])
    best = np.exp(log_softmax(model.logits(encoded[0], vector)[:LABELS])).max()
    found = transducer_search(model, WORDS, Settings(max_symbols=1)).accept(encoded).best
    assert found.confidences == pytest.approx((best,))


def test_what_cannot_be_decoded_is_named() -> None:
    class Broken(ToyTransducer):
        def join(self, encoded: Floats, predicted: Floats) -> Floats:
            return super().join(encoded, predicted) * np.nan

    class Narrow(ToyTransducer):
        def join(self, encoded: Floats, predicted: Floats) -> Floats:
            return super().join(encoded, predicted)[..., :2]

    with pytest.raises(ValueError, match="9 is not a token"):
        transducer_search(ToyTransducer(0), WORDS, Settings(blank=9))
    with pytest.raises(ValueError, match="max_symbols must be at least 1"):
        Settings(max_symbols=0)
    with pytest.raises(DecodeError, match=r"not \[frames, width\]"):
        transducer_search(ToyTransducer(0), WORDS, Settings()).accept(np.zeros(3))
    with pytest.raises(DecodeError, match="nan"):
        transducer_search(Broken(0), WORDS, Settings()).accept(frames_of(0, 2))
    with pytest.raises(DecodeError, match="4 or more"):
        transducer_search(Narrow(0), WORDS, Settings()).accept(frames_of(0, 2))
