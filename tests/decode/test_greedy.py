"""Greedy decoding against its one-frame-at-a-time definition, with a numpy transducer in place of a package."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mctc.decode import DecodeError, Emission, GreedyDecoder, Vocabulary, greedy
from mctc.decode.stepper import Floats

WIDTH, TOKENS, PADDED = 3, 5, 8


class ToyTransducer:
    """A recurrent predictor and a joiner with random weights; its padded logits are larger than all others."""

    def __init__(self, seed: int, blank_bias: float = 0.0, blank: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.embedding = random.normal(size=(TOKENS, WIDTH))
        self.output = random.normal(size=(WIDTH, PADDED))
        self.bias = np.where(np.arange(PADDED) < TOKENS, 0.0, 1e6)
        self.bias[blank] = blank_bias
        self.predicted: list[int] = []
        self.join_sizes: list[int] = []
        self.reset()

    def reset(self) -> None:
        self.state = np.zeros(WIDTH)

    def encode(self, mel: NDArray[np.float32]) -> Floats:
        return mel[::2] + mel[1::2]

    def predict(self, token: int) -> Floats:
        self.predicted.append(token)
        self.state = np.tanh(0.5 * self.state + self.embedding[token])
        return self.state

    def join(self, encoded: Floats, predicted: Floats) -> Floats:
        self.join_sizes.append(len(encoded))
        # Row by row, so that a row's last bits can't depend on how many rows are asked for.
        return np.stack([np.tanh(row + predicted) @ self.output + self.bias for row in encoded])


def by_definition(model: ToyTransducer, mel: NDArray[np.float32], blank: int, max_symbols: int) -> list[Emission]:
    model.reset()
    vector = model.predict(blank)
    found = []
    for frame, row in enumerate(model.encode(mel)):
        for _ in range(max_symbols):
            token = int(np.argmax(model.join(row[None], vector)[0, :TOKENS]))
            if token == blank:
                break
            found.append(Emission(token, frame))
            vector = model.predict(token)
    return found


def mel_of(seed: int, frames: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(frames, WIDTH)).astype(np.float32)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    chunks=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    blank=st.integers(0, TOKENS - 1),
    blank_bias=st.floats(-3, 3),
    max_symbols=st.integers(1, 4),
    join_frames=st.none() | st.integers(1, 7),
)
def test_looking_at_many_frames_a_call_finds_what_the_definition_finds(
    seed: int, chunks: list[int], blank: int, blank_bias: float, max_symbols: int, join_frames: int | None
) -> None:
    mel = mel_of(seed + 1, 2 * sum(chunks))
    pieces = np.split(mel, 2 * np.cumsum(chunks)[:-1])
    model = ToyTransducer(seed, blank_bias, blank)
    found = list(greedy(model, pieces, Vocabulary.first(TOKENS), blank, max_symbols, join_frames))
    assert found == by_definition(ToyTransducer(seed, blank_bias, blank), mel, blank, max_symbols)
    assert model.predicted == [blank, *(emission.token for emission in found)]
    assert join_frames is None or set(model.join_sizes) == {join_frames}


def test_silence_costs_one_joiner_call_a_chunk_and_never_steps_the_predictor() -> None:
    model = ToyTransducer(1, blank_bias=1e5)
    decoder = GreedyDecoder(model, Vocabulary.first(TOKENS))
    assert decoder.push(mel_of(2, 16)) == decoder.push(mel_of(3, 16)) == []
    assert (decoder.join_calls, decoder.predict_calls, decoder.frames) == (2, 1, 16)


def test_a_joiner_that_never_says_blank_emits_the_limit_at_every_frame() -> None:
    model = ToyTransducer(1, blank_bias=-1e5)
    found = list(greedy(model, [mel_of(2, 6)], Vocabulary.first(TOKENS), max_symbols=3))
    assert [emission.frame for emission in found] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_reset_starts_a_new_utterance() -> None:
    decoder = GreedyDecoder(ToyTransducer(4, blank_bias=-0.5), Vocabulary.first(TOKENS))
    first = decoder.push(mel_of(5, 20))
    decoder.reset()
    assert first
    assert decoder.push(mel_of(5, 20)) == first


def test_a_mapping_renames_logits_and_keeps_padding_from_winning() -> None:
    vocabulary = Vocabulary.mapped([7, -1, 3, -1])
    logits = np.array([[0.0, 9.0, 1.0, 9.0, 9.0], [2.0, 9.0, 1.0, 9.0, 9.0], [1.0, 9.0, 1.0, np.nan, np.inf]])
    assert vocabulary.best(logits).tolist() == [3, 7, 7]


def test_half_precision_logits_at_their_least_value_still_lose_to_no_padding() -> None:
    logits = np.full((1, 4), -np.inf, np.float16)
    logits[0, 3] = 0.0
    assert Vocabulary.first(3).best(logits).tolist() == [0]


@pytest.mark.parametrize("tokens", [[], [-1, -1], [1, 1], [0, -2]])
def test_a_vocabulary_that_names_no_token_or_one_twice_is_refused(tokens: list[int]) -> None:
    with pytest.raises(ValueError, match="vocabulary"):
        Vocabulary.mapped(tokens)


@pytest.mark.parametrize(
    ("settings", "named"),
    [({"blank": 5}, "blank 5"), ({"max_symbols": 0}, "max_symbols"), ({"join_frames": 0}, "join")],
)
def test_settings_that_could_not_decode_are_refused(settings: dict[str, int], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        GreedyDecoder(ToyTransducer(0), Vocabulary.first(TOKENS), **settings)


def test_results_that_can_not_be_are_named() -> None:
    model = ToyTransducer(0)
    with pytest.raises(DecodeError, match="logits of shape"):
        GreedyDecoder(model, Vocabulary.first(PADDED + 1)).push(mel_of(0, 4))
    with pytest.raises(DecodeError, match="NaN for frame 1"):
        GreedyDecoder(model, Vocabulary.first(TOKENS)).push_encoded(np.array([[0.0] * WIDTH, [np.nan] * WIDTH]))
    with pytest.raises(DecodeError, match="the encoder returned shape"):
        GreedyDecoder(model, Vocabulary.first(TOKENS)).push_encoded(np.zeros((1, 2, WIDTH)))
