"""Best path decoding against its definition: the best label of each frame, repeats merged, blanks left out."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mctc.decode.frames import Floats
from mctc.decode.search import ctc_search
from mctc.decode.settings import Settings
from mctc.decode.vocabulary import Vocabulary

from .toy import cut

CLASSES, PADDED = 4, 6


def logits(path: list[int]) -> Floats:
    """Scores [frames, PADDED] whose best real class is the path's; the padding scores higher still."""
    scores = np.random.default_rng(0).normal(size=(len(path), PADDED))
    scores[np.arange(len(path)), path] += 20
    scores[:, CLASSES:] = 100
    return scores


@given(
    path=st.lists(st.integers(0, CLASSES - 1), max_size=30), sizes=st.lists(st.integers(0, 9)), blank=st.integers(0, 3)
)
def test_a_stream_in_any_pieces_gives_the_merged_path(path: list[int], sizes: list[int], blank: int) -> None:
    search = ctc_search(Vocabulary.first(CLASSES), Settings(blank=blank))
    for part in cut(logits(path), sizes):
        search.accept(part)
    (found,) = search.finish()
    starts = [(label, next(at)[0]) for label, at in groupby(enumerate(path), key=lambda pair: pair[1])]
    assert list(zip(found.ids, found.frames)) == [(label, frame) for label, frame in starts if label != blank]
    assert all(each > 0.99 for each in found.confidences)
    assert found.score == pytest.approx(0, abs=0.01)


def test_a_new_utterance_forgets_the_last_label() -> None:
    search = ctc_search(Vocabulary.first(CLASSES), Settings())
    assert search.accept(logits([2])).best.ids == (2,)
    assert search.accept(logits([2])).best.ids == (2,)
    search.finish()
    assert search.accept(logits([2])).best.frames == (2,)
