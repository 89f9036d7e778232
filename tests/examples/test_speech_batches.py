"""examples/speech: what a step hears depends on seed and epoch, not on the processes nor on where a run begins."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from speech.batches import Lengths, epoch_batches, steps, usable_of
from speech.config import Batch, ConfigError

CONFIG = Batch(seconds=30.0, accumulate=4, buckets=6, longest=20.0)


@pytest.fixture(scope="module")
def lengths() -> Lengths:
    random = np.random.default_rng(0)
    samples = random.integers(16_000, 160_000, 500)
    return Lengths(samples, samples // 4_000, np.ones(500), 16_000)


def test_an_epoch_holds_each_utterance_once_within_the_seconds(lengths: Lengths) -> None:
    groups = epoch_batches(lengths, np.arange(500), CONFIG, seed=1, epoch=0)
    assert sorted(np.concatenate([each.utterances for each in groups])) == list(range(500))
    assert all(lengths.samples[each.utterances].max() <= each.samples for each in groups)
    assert max(len(each.utterances) * each.samples / 16_000 for each in groups) <= 30.0
    assert lengths.samples.sum() / sum(len(each.utterances) * each.samples for each in groups) > 0.85


def test_batches_are_of_one_shape_a_bucket(lengths: Lengths) -> None:
    groups = [each for epoch in range(5) for each in epoch_batches(lengths, np.arange(500), CONFIG, 1, epoch)]
    shapes = {(len(each.utterances), each.samples) for each in groups}
    assert len(groups) > 5 * CONFIG.buckets
    assert len(shapes) <= CONFIG.buckets + 5  # and what is left over in an epoch
    wide = [batch.labels for step in islice(steps(lengths, np.arange(500), CONFIG, 1, 0), 40) for batch in step.batches]
    assert {each % 8 for each in wide} == {0}


def test_epochs_differ_and_repeat_with_their_seed(lengths: Lengths) -> None:
    one, again, other = (epoch_batches(lengths, np.arange(500), CONFIG, 1, epoch) for epoch in (0, 0, 1))
    assert all(np.array_equal(left.utterances, right.utterances) for left, right in zip(one, again, strict=True))
    assert not np.array_equal(*(np.concatenate([each.utterances for each in epoch]) for epoch in (one, other)))


def test_steps_from_the_middle_are_those_of_the_whole_run(lengths: Lengths) -> None:
    whole = list(islice(steps(lengths, np.arange(500), CONFIG, 1, 0), 90))
    later = list(islice(steps(lengths, np.arange(500), CONFIG, 1, 70), 20))
    assert [each.number for each in later] == list(range(70, 90))
    assert whole[-1].epoch > 0
    for left, right in zip(whole[70:], later, strict=True):
        assert left.epoch == right.epoch
        for one, other in zip(left.batches, right.batches, strict=True):
            assert one.number == other.number
            assert np.array_equal(one.utterances, other.utterances)


def test_an_epoch_takes_an_utterance_as_often_as_its_weight_says(lengths: Lengths) -> None:
    weights = np.array([0.0, 3.0, 0.5, *[1.0] * 497])
    weighed = Lengths(lengths.samples, lengths.labels, weights, 16_000)
    counts = np.zeros(500)
    for epoch in range(40):
        for batch in epoch_batches(weighed, np.arange(500), CONFIG, 0, epoch):
            np.add.at(counts, batch.utterances, 1)
    assert list(counts[:2]) == [0, 120]
    assert 10 <= counts[2] <= 30
    assert set(counts[3:]) == {40}


def test_utterances_that_cant_be_used_are_counted(lengths: Lengths) -> None:
    few = Lengths(np.array([1_000, 16_000, 16_000, 400_000, 16_000]), np.array([1, 3, 90, 1, 0]), np.ones(5), 16_000)
    usable, lines = usable_of(few, CONFIG, least_samples=640)
    assert list(usable) == [1]
    assert lines == [
        "left out: 1 of 5 utterances, shorter than batch.shortest = 0.2 s",
        "left out: 1 of 5 utterances, longer than batch.longest = 20 s",
        "left out: 1 of 5 utterances, of no labels",
        "left out: 1 of 5 utterances, of more labels than frames",
    ]


def test_an_epoch_without_a_step_is_an_error(lengths: Lengths) -> None:
    with pytest.raises(ConfigError, match=r"an epoch has 1 micro-batches, and a step takes batch\.accumulate = 4"):
        next(steps(lengths, np.arange(1), CONFIG, 0, 0))
