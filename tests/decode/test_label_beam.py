"""Beam search over labels against every sequence there is."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mctc.decode.engine import State
from mctc.decode.frames import DecodeError, Floats
from mctc.decode.label_beam import LabelSettings, label_beam
from mctc.decode.vocabulary import Vocabulary, log_softmax

from .toy import ToyScorer

LABELS, END, PROMPT = 4, 3, (3, 0)
WORDS = Vocabulary.first(LABELS)


class ToyDecoder:
    """Logits are drawn for each sequence of tokens; padded ones are the largest."""

    def __init__(self, seed: int, scale: float = 2.0) -> None:
        self.seed, self.scale = seed, scale
        self.calls: list[int] = []

    def start(self, prompt: Sequence[int]) -> tuple[Floats, State]:
        return self.logits(tuple(prompt)), tuple(prompt)

    def predict(self, labels: Sequence[int], states: Sequence[State]) -> tuple[Floats, list[State]]:
        self.calls.append(len(labels))
        after = [(*state, label) for label, state in zip(labels, states, strict=True)]
        return np.stack([self.logits(state) for state in after]), after

    def logits(self, ids: tuple[int, ...]) -> Floats:
        return np.append(self.scale * np.random.default_rng([self.seed, *ids]).normal(size=LABELS), 50.0)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10_000),
    longest=st.integers(1, 4),
    penalty=st.sampled_from([0.0, 0.6, 1.5]),
    fused=st.booleans(),
)
def test_an_endless_beam_finds_the_best_of_all(seed: int, longest: int, penalty: float, fused: bool) -> None:
    model, scorers = ToyDecoder(seed), [ToyScorer(seed, LABELS)] if fused else []
    told = LabelSettings(PROMPT, END, longest, beam=10_000, n_best=10_000, length_penalty=penalty)
    found = label_beam(model, WORDS, told, scorers)
    expected = {}
    for length in range(longest + 1):
        for ids in product(range(LABELS - 1), repeat=length):
            steps = ids if length == longest else (*ids, END)
            scores = [log_softmax(model.logits((*PROMPT, *ids[:at]))[:LABELS])[label] for at, label in enumerate(steps)]
            total = sum(scores) + sum(scorer.total(ids) for scorer in scorers)
            expected[ids] = total / ((5 + length) / 6) ** penalty
    assert {each.ids: each.score for each in found} == pytest.approx(expected)
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)


@given(seed=st.integers(0, 10_000), penalty=st.sampled_from([0.0, 0.6, 1.5]))
def test_it_stops_early_only_where_nothing_gets_better(seed: int, penalty: float) -> None:
    told = LabelSettings(PROMPT, END, 8, beam=2, length_penalty=penalty)
    model, whole = ToyDecoder(seed), ToyDecoder(seed)
    found = label_beam(model, WORDS, told)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("mctc.decode.label_beam._Labels._settled", lambda *_: False)
        assert label_beam(whole, WORDS, told) == found
    assert len(model.calls) <= len(whole.calls)
    assert len(found[0].confidences) == len(found[0].ids)
    assert found[0].frames == ()


@given(seed=st.integers(0, 10_000), longest=st.integers(1, 8))
def test_a_beam_of_one_takes_the_best_label_each_time(seed: int, longest: int) -> None:
    model, ids = ToyDecoder(seed), []
    (found,) = label_beam(model, WORDS, LabelSettings(PROMPT, END, longest, beam=1))
    while len(ids) < longest and (best := int(model.logits((*PROMPT, *ids))[:LABELS].argmax())) != END:
        ids.append(best)
    assert list(found.ids) == ids


def test_without_an_end_token_it_goes_on_to_the_longest() -> None:
    found = label_beam(ToyDecoder(1), WORDS, LabelSettings(PROMPT, None, 5, n_best=4))
    assert [len(each.ids) for each in found] == [5] * 4


def test_a_beam_is_one_call_a_label() -> None:
    model = ToyDecoder(3)
    label_beam(model, WORDS, LabelSettings(PROMPT, END, 5, beam=3))
    assert len(model.calls) <= 4
    assert max(model.calls) > 1


def test_what_cannot_be_is_named() -> None:
    class Broken(ToyDecoder):
        def logits(self, ids: tuple[int, ...]) -> Floats:
            return np.full(LABELS, np.nan)

    with pytest.raises(ValueError, match="to start from"):
        LabelSettings((), END, 1)
    with pytest.raises(ValueError, match="longest must be at least 1"):
        LabelSettings(PROMPT, END, 0)
    with pytest.raises(ValueError, match="9 is not a token"):
        label_beam(ToyDecoder(0), WORDS, LabelSettings(PROMPT, 9, 1))
    with pytest.raises(DecodeError, match="nan"):
        label_beam(Broken(0), WORDS, LabelSettings(PROMPT, END, 1))


def test_any_of_several_labels_may_end_a_text() -> None:
    model = ToyDecoder(1)
    alone = label_beam(model, WORDS, LabelSettings(PROMPT, None, 6, beam=1))[0].ids
    other = next(label for label in alone if label != alone[0])
    found = label_beam(model, WORDS, LabelSettings(PROMPT, None, 6, beam=1, ends=(other,)))[0].ids
    assert found == alone[: alone.index(other)]
    with pytest.raises(ValueError, match="is not a token"):
        label_beam(model, WORDS, LabelSettings(PROMPT, None, 6, ends=(9,)))
