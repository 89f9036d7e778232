"""Prefix beam search against the sum over all paths of labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mctc.decode.engine import State
from mctc.decode.frames import DecodeError, Floats
from mctc.decode.hypothesis import Partial
from mctc.decode.search import ctc_search
from mctc.decode.settings import Settings
from mctc.decode.vocabulary import Vocabulary, log_softmax

from .toy import ToyScorer, cut, frames_of

LABELS = 3
WORDS = Vocabulary.first(LABELS)
ENDLESS = Settings(method="beam", beam=10_000, window=np.inf, n_best=10_000)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), frames=st.integers(1, 6), fused=st.booleans())
def test_an_endless_beam_sums_over_all_paths(seed: int, frames: int, fused: bool) -> None:
    logits = frames_of(seed, frames, LABELS)
    odds = log_softmax(logits)
    sums: defaultdict[tuple[int, ...], float] = defaultdict(float)
    for path in product(range(LABELS), repeat=frames):
        ids = tuple(label for label, _ in groupby(path) if label != 0)
        sums[ids] += np.exp(sum(odds[at, label] for at, label in enumerate(path)))
    scorers = [ToyScorer(seed, LABELS)] if fused else []
    search = ctc_search(WORDS, ENDLESS, scorers)
    search.accept(logits)
    found = search.finish()
    expected = {ids: np.log(total) + sum(each.total(ids) for each in scorers) for ids, total in sums.items()}
    assert {each.ids: each.score for each in found} == pytest.approx(expected)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    beam=st.integers(1, 5),
    sizes=st.lists(st.integers(0, 9), max_size=6),
    fused=st.booleans(),
)
def test_pieces_change_nothing_and_what_is_final_stays(seed: int, beam: int, sizes: list[int], fused: bool) -> None:
    logits = 3 * frames_of(seed, 30, LABELS)
    scorers = [ToyScorer(seed, LABELS)] if fused else []
    told = Settings(method="beam", beam=beam, window=9, n_best=beam)
    whole, search = ctc_search(WORDS, told, scorers), ctc_search(WORDS, told, scorers)
    whole.accept(logits)
    partials, found = [search.accept(part) for part in cut(logits, sizes)], search.finish()
    assert [(each.ids, each.score) for each in found] == [(each.ids, each.score) for each in whole.finish()]
    for one, other in zip(partials, [*partials[1:], Partial(found[0], len(found[0].ids), 30)], strict=True):
        assert one.final <= other.final
        for what in ("ids", "frames", "confidences"):
            assert getattr(one.best, what)[: one.final] == getattr(other.best, what)[: one.final]
    assert all(list(each.frames) == sorted(each.frames) for each in found)


def test_a_sure_path_is_found_with_its_frames() -> None:
    logits = np.full((6, LABELS), -9.0)
    logits[np.arange(6), [0, 1, 1, 0, 1, 2]] = 9.0
    found = [ctc_search(WORDS, told) for told in (Settings(), Settings(method="beam"))]
    for search in found:
        assert search.accept(logits).best.ids == (1, 1, 2)
        assert search.finish()[0].frames == (1, 4, 5)


def test_where_nothing_goes_on_that_is_said() -> None:
    class Nothing(ToyScorer):
        def scores(self, states: Sequence[State]) -> Floats:
            return np.full((len(states), LABELS), -np.inf)

    logits = np.zeros((3, LABELS))
    logits[1, 0] = -np.inf
    with pytest.raises(DecodeError, match="at frame 1"):
        ctc_search(WORDS, Settings(method="beam"), [Nothing(0, LABELS)]).accept(logits)
