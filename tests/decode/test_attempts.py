"""Windows that are decoded again, hotter, and texts that are not sound."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import pytest

from mctc.decode.attempts import Attempts, attempt, no_speech, repetition
from mctc.decode.frames import DecodeError, Floats
from mctc.decode.label_beam import LabelSettings, label_beam
from mctc.decode.label_rules import LeftOut
from mctc.decode.label_sample import label_sample
from mctc.decode.vocabulary import log_softmax

from .test_label_beam import END, LABELS, PROMPT, WORDS, ToyDecoder

SETTINGS = LabelSettings(PROMPT, END, 5, beam=1)
NOISE = np.random.default_rng(0)


class Still:
    """No chance: what is likeliest is drawn."""

    def gumbel(self, *, size: int) -> Floats:
        return np.zeros(size)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("rules", [(), (LeftOut((1,)),)])
def test_cold_labels_are_those_of_a_greedy_search(seed: int, rules: tuple[LeftOut, ...]) -> None:
    model, told = ToyDecoder(seed), LabelSettings(PROMPT, END, 5, beam=1, rules=rules)
    sample = label_sample(model, WORDS, told, 0.0, NOISE)
    assert sample.labels == label_beam(model, WORDS, told)[0].ids
    steps = [*sample.labels, END] if sample.ended else list(sample.labels)
    allowed = [label for label in range(LABELS) if not rules or label != 1]
    scores = [
        log_softmax(model.logits((*PROMPT, *steps[:at]))[:LABELS][allowed])[allowed.index(label)]
        for at, label in enumerate(steps)
    ]
    assert sample.mean_log_probability == pytest.approx(np.mean(scores))


def test_drawn_labels_come_as_often_as_they_are_likely() -> None:
    model, told = ToyDecoder(1), LabelSettings(PROMPT, None, 1)
    drawn = [label_sample(model, WORDS, told, 0.5, NOISE).labels[0] for _ in range(4_000)]
    likely = np.exp(log_softmax(2 * log_softmax(model.logits(PROMPT)[:LABELS])))
    np.testing.assert_allclose(np.bincount(drawn, minlength=LABELS) / 4_000, likely, atol=0.03)


def test_a_text_is_tried_again_until_it_is_sound() -> None:
    model = ToyDecoder(2)
    mean = label_sample(model, WORDS, SETTINGS, 0.0, NOISE).mean_log_probability
    tried = Attempts((0.0, 0.2, 0.4), likelihood=mean - 1e-6)
    assert attempt(model, WORDS, SETTINGS, tried, Still()).temperature == 0.0
    tried = Attempts((0.0, 0.2, 0.4), likelihood=mean + 1e-6)
    assert attempt(model, WORDS, SETTINGS, tried, Still()).temperature == 0.4
    assert attempt(model, WORDS, SETTINGS, Attempts((0.0, 1.0), repetition=0.01), Still()).temperature == 1.0
    assert attempt(model, WORDS, SETTINGS, Attempts((0.0, 1.0), repetition=100), Still()).temperature == 0.0


def test_an_unlikely_text_where_nobody_speaks_is_none() -> None:
    model, unlikely = ToyDecoder(2), Attempts((0.0, 1.0), likelihood=0.0, silence=0.6)
    assert attempt(model, WORDS, SETTINGS, unlikely, Still(), no_speech=0.7).labels is None
    assert attempt(model, WORDS, SETTINGS, unlikely, Still(), no_speech=0.5).labels is not None
    likely = Attempts((0.0, 1.0), likelihood=-100.0, silence=0.6)
    assert attempt(model, WORDS, SETTINGS, likely, Still(), no_speech=0.7).labels is not None


def test_no_speech_is_asked_behind_the_label_that_begins_a_text() -> None:
    model = ToyDecoder(3)
    for prompt, heard in (((3, 0, 1), (3, 0)), ((0, 2, 0, 1, 2), (0, 2, 0)), ((1, 2), (1, 2))):
        want = np.exp(log_softmax(model.logits(heard)[:LABELS]))[2]
        assert no_speech(model, WORDS, prompt, 2, begin=0) == pytest.approx(want)


@pytest.mark.parametrize(("size", "width"), [(99, 1), (51_865, 2), (70_000, 3)])
def test_repetition_is_what_zlib_saves(size: int, width: int) -> None:
    labels = [7, 8, 9] * 40
    data = b"".join(label.to_bytes(width, "little") for label in labels)
    assert repetition(labels, size) == len(data) / len(zlib.compress(data)) > 3


def test_other_labels_close_a_text_as_well() -> None:
    model = ToyDecoder(2)
    first = label_sample(model, WORDS, SETTINGS, 0.0, NOISE).labels[0]
    closed = label_sample(model, WORDS, LabelSettings(PROMPT, END, 5, ends=(first,)), 0.0, NOISE)
    assert (closed.labels, closed.ended) == ((), True)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"temperatures": ()}, "temperatures"),
        ({"temperatures": (-1.0,)}, "temperatures"),
        ({"silence": 0.6}, "silence"),
    ],
)
def test_what_can_not_be_is_named(fields: dict[str, Sequence[float]], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Attempts(**fields)  # type: ignore[arg-type]


def test_rules_that_allow_nothing_are_told() -> None:
    told = LabelSettings(PROMPT, END, 5, rules=(LeftOut(tuple(range(LABELS))),))
    with pytest.raises(DecodeError):
        label_sample(ToyDecoder(0), WORDS, told, 0.0, NOISE)
