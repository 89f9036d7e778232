"""Best path decoding against its definition: the best token of each frame, repeats merged, blanks left out."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mctc.decode import CtcDecoder, DecodeError, Emission, Vocabulary

CLASSES, PADDED = 4, 6


def logits(path: list[int]) -> np.ndarray:
    """Scores [frames, PADDED] whose best real class is the path's; the padding scores higher still."""
    scores = np.random.default_rng(0).normal(size=(len(path), PADDED)).astype(np.float32)
    scores[np.arange(len(path)), path] += 20
    scores[:, CLASSES:] = 100
    return scores


@given(
    path=st.lists(st.integers(0, CLASSES - 1), max_size=30), cuts=st.lists(st.integers(0, 30)), blank=st.integers(0, 3)
)
def test_a_stream_in_any_pieces_gives_the_merged_path(path: list[int], cuts: list[int], blank: int) -> None:
    decoder = CtcDecoder(Vocabulary.first(CLASSES), blank)
    found = [
        each
        for part in np.split(logits(path), sorted(min(c, len(path)) for c in cuts))
        for each in decoder.push_encoded(part)
    ]
    starts = [(token, next(at)[0]) for token, at in groupby(enumerate(path), key=lambda pair: pair[1])]
    assert found == [Emission(token, frame) for token, frame in starts if token != blank]
    assert decoder.frames == len(path)


def test_a_new_utterance_forgets_the_last_token() -> None:
    decoder = CtcDecoder(Vocabulary.first(CLASSES))
    assert decoder.push_encoded(logits([2])) == [Emission(2, 0)]
    assert decoder.push_encoded(logits([2])) == []
    decoder.reset()
    assert decoder.push_encoded(logits([2])) == [Emission(2, 0)]


def test_what_cannot_be_decoded_is_named() -> None:
    with pytest.raises(ValueError, match="blank 9 is not a token"):
        CtcDecoder(Vocabulary.first(CLASSES), 9)
    with pytest.raises(DecodeError, match="not \\[frames, vocabulary\\]"):
        CtcDecoder(Vocabulary.first(CLASSES)).push_encoded(np.zeros((1, 2, 3), np.float32))
