"""Beam searches of transducers against the sum over all alignments, each counted one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mctc.decode.engine import State
from mctc.decode.frames import DecodeError, Floats
from mctc.decode.hypothesis import Hypothesis, Partial
from mctc.decode.search import Search, transducer_search
from mctc.decode.settings import Settings
from mctc.decode.vocabulary import Vocabulary, log_softmax

from .toy import ToyScorer, ToyTransducer, cut, frames_of

LABELS, BLANK = 3, 0
WORDS = Vocabulary.first(LABELS)
ENDLESS = Settings(beam=10_000, window=np.inf, n_best=10_000, max_symbols=2)
METHODS = {
    "beam": replace(ENDLESS, method="beam"),
    "time-synchronous": replace(ENDLESS, method="time-synchronous"),
    "durations": replace(ENDLESS, method="time-synchronous", durations=(0, 1, 3)),
    "durations of no single frame": replace(ENDLESS, method="time-synchronous", durations=(0, 2)),
}
Sums = dict[tuple[int, ...], float]


def model_of(seed: int, settings_: Settings, bias: float = 0.0, frames: int = 8) -> ToyTransducer:
    return ToyTransducer(seed, LABELS, bias, frames, extra=len(settings_.durations) or 2)


def exhausted(model: ToyTransducer, encoded: Floats, given_: Settings) -> Sums:
    """The probability of every label sequence: a walk along every alignment."""
    sums: defaultdict[tuple[int, ...], float] = defaultdict(float)
    memory = {(): model.predict([BLANK], [model.start()])}

    def walk(ids: tuple[int, ...], frame: int, emitted: int, score: float) -> None:
        if frame >= len(encoded):
            sums[ids] += np.exp(score)
            return
        vectors, states = memory[ids]
        logits = model.logits(encoded[frame], vectors[0])
        odds = log_softmax(logits[:LABELS] - given_.blank_penalty * (np.arange(LABELS) == BLANK))
        spans = log_softmax(logits[LABELS:])
        for label in range(LABELS):
            longer = ids if label == BLANK else (*ids, label)
            if longer not in memory:
                memory[longer] = model.predict([label], states)
            if given_.method == "beam":
                walk(longer, frame + 1, 0, score + odds[label])
            elif label != BLANK and emitted == given_.max_symbols:
                continue
            elif given_.durations:
                for duration, span in zip(given_.durations, spans):
                    if duration or label != BLANK:
                        again = 0 if duration else emitted + 1
                        walk(longer, frame + duration, again, score + odds[label] + span)
            else:
                still = label != BLANK
                walk(longer, frame + (not still), emitted + 1 if still else 0, score + odds[label])

    walk((), 0, 0, 0.0)
    return {ids: float(np.log(total)) for ids, total in sums.items()}


def searched(search: Search, parts: Sequence[Floats]) -> tuple[list[Partial], tuple[Hypothesis, ...]]:
    return [search.accept(part) for part in parts], search.finish()


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=8)
@given(
    seed=st.integers(0, 10_000), bias=st.floats(-2, 2), penalty=st.sampled_from([0.0, 0.7]), frames=st.integers(1, 4)
)
def test_an_endless_beam_sums_over_all_alignments(
    name: str, seed: int, bias: float, penalty: float, frames: int
) -> None:
    told = replace(METHODS[name], blank_penalty=penalty)
    encoded = frames_of(seed + 1, 3)
    search = transducer_search(model_of(seed, told, bias, frames), WORDS, told)
    _, found = searched(search, [encoded])
    sums = exhausted(model_of(seed, told, bias), encoded, told)
    assert {each.ids: each.score for each in found} == pytest.approx(sums)
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=4)
@given(seed=st.integers(0, 10_000))
def test_scorers_add_what_they_say_for_labels_and_end(name: str, seed: int) -> None:
    told, encoded = METHODS[name], frames_of(seed + 1, 3)
    scorers = [ToyScorer(seed, LABELS), ToyScorer(seed + 1, LABELS)]
    _, found = searched(transducer_search(model_of(seed, told), WORDS, told, scorers), [encoded])
    sums = exhausted(model_of(seed, told), encoded, told)
    expected = {ids: score + sum(scorer.total(ids) for scorer in scorers) for ids, score in sums.items()}
    assert {each.ids: each.score for each in found} == pytest.approx(expected)


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    beam=st.integers(1, 5),
    window=st.floats(0.5, 9),
    sizes=st.lists(st.integers(0, 5), max_size=6),
    fused=st.booleans(),
    frames=st.integers(1, 5),
)
def test_pieces_change_nothing_and_what_is_final_stays(
    name: str, seed: int, beam: int, window: float, sizes: list[int], fused: bool, frames: int
) -> None:
    told = replace(METHODS[name], beam=beam, window=window, n_best=beam)
    encoded = frames_of(seed + 1, 12)
    scorers = [ToyScorer(seed, LABELS)] if fused else []

    def make(block: int) -> Search:
        return transducer_search(model_of(seed, told, 0.5, block), WORDS, told, scorers)

    search = make(frames)
    partials, found = searched(search, cut(encoded, sizes))
    _, whole = searched(make(12), [encoded])
    assert [each.ids for each in found] == [each.ids for each in whole]
    assert [each.score for each in found] == pytest.approx([each.score for each in whole])
    for one, other in zip(partials, [*partials[1:], Partial(found[0], len(found[0].ids), 12)], strict=True):
        assert one.final <= other.final
        for what in ("ids", "frames", "confidences"):
            assert getattr(one.best, what)[: one.final] == getattr(other.best, what)[: one.final]
    assert all(list(each.frames) == sorted(each.frames) and max(each.frames, default=0) < 12 for each in found)
    assert all(len(each.ids) == len(each.frames) == len(each.confidences) for each in found)


@given(seed=st.integers(0, 10_000), bias=st.floats(-2, 2))
def test_a_beam_of_one_that_emits_one_label_a_frame_is_greedy(seed: int, bias: float) -> None:
    encoded = frames_of(seed + 1, 10)
    found = [
        searched(transducer_search(ToyTransducer(seed, LABELS, bias), WORDS, told), [encoded])[1][0]
        for told in (Settings(max_symbols=1), Settings(method="beam", beam=1))
    ]
    assert found[0].ids == found[1].ids
    assert found[0].frames == found[1].frames
    assert found[0].score == pytest.approx(found[1].score)
    assert found[0].confidences == pytest.approx(found[1].confidences)


@pytest.mark.parametrize("name", METHODS)
def test_no_history_is_predicted_twice_and_those_of_a_beam_go_together(name: str) -> None:
    told = replace(METHODS[name], beam=4)
    model = model_of(7, told, 0.5)
    searched(transducer_search(model, WORDS, told), [frames_of(8, 16)])
    known = {tuple(np.round(vector, 12)) for vector in model.vectors}
    assert len(known) == len(model.predicted)
    assert max(model.calls) > 1


def test_the_next_utterance_knows_nothing_of_the_last() -> None:
    told = METHODS["time-synchronous"]
    search = transducer_search(model_of(3, told), WORDS, replace(told, beam=4))
    first, second = (searched(search, [frames_of(4, 6)])[1][0] for _ in range(2))
    assert first.ids == second.ids
    assert second.frames == tuple(frame + 6 for frame in first.frames)


def test_a_long_stream_keeps_only_what_is_open() -> None:
    """However long the utterance: the tree holds what the hypotheses differ in."""
    told = Settings(method="beam", beam=3)
    search = transducer_search(model_of(3, told), WORDS, told)
    for piece in range(40):
        search.accept(frames_of(piece, 8))
    base = search._utterance.base  # type: ignore[attr-defined]
    count, left = 0, [base]
    while left:
        count += 1
        left += left.pop().after.values()
    assert base.before is None
    assert base.length > 50
    assert count < 60


@pytest.mark.parametrize("name", METHODS)
def test_where_nothing_goes_on_that_is_said(name: str) -> None:
    class Silent(ToyTransducer):
        def logits(self, row: Floats, vector: Floats) -> Floats:
            return np.where(np.arange(LABELS + 3) == 1, 0.0, -np.inf)

    class Nothing(ToyScorer):
        def scores(self, states: Sequence[State]) -> Floats:
            return np.full((len(states), LABELS), -np.inf)

    told = replace(METHODS[name], beam=2, durations=())
    search = transducer_search(Silent(0, LABELS), WORDS, told, [Nothing(0, LABELS)])
    with pytest.raises(DecodeError, match="no hypothesis goes on at frame 0"):
        search.accept(frames_of(0, 2))
