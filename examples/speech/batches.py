"""Which utterances make up each micro-batch: a pure function of lengths, seed and epoch, not of the processes.

An optimiser step takes `accumulate` micro-batches; process r of W takes those with index r modulo W. So one GPU with
accumulation and several without see the same data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .config import Batch, ConfigError

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class MicroBatch:
    """Utterances, the length of the longest in samples, and of the longest labels. `number` seeds what is random."""

    number: int
    utterances: Indices
    samples: int
    labels: int


@dataclass(frozen=True)
class Step:
    """One step of the optimiser, and how much all processes hear in it."""

    number: int
    epoch: int
    batches: tuple[MicroBatch, ...]
    utterances: int
    labels: int
    seconds: float


@dataclass(frozen=True)
class Lengths:
    """Of each utterance: samples, labels, and how often an epoch takes it."""

    samples: Indices
    labels: Indices
    weights: NDArray[np.float64]
    rate: int


def steps(lengths: Lengths, usable: Indices, config: Batch, seed: int, first: int) -> Iterator[Step]:
    """Steps from number `first` on, without end. Raises ConfigError where an epoch makes no step."""
    number = epoch = 0
    while True:
        batches = epoch_batches(lengths, usable, config, seed, epoch)
        count = len(batches) // config.accumulate
        if not count:
            raise ConfigError(
                f"an epoch has {len(batches)} micro-batches, and a step takes batch.accumulate = {config.accumulate}"
            )
        for at in range(max(0, first - number), count):
            taken = batches[at * config.accumulate : (at + 1) * config.accumulate]
            yield _step(lengths, number + at, epoch, taken)
        number, epoch = number + count, epoch + 1


def epoch_batches(lengths: Lengths, usable: Indices, config: Batch, seed: int, epoch: int) -> list[Indices]:
    """Micro-batches of one epoch in random order, each of utterances of about the same length."""
    random = np.random.default_rng((seed, epoch))
    weights = lengths.weights[usable]
    copies = np.floor(weights + random.random(len(usable))).astype(np.int64)
    taken = random.permutation(np.repeat(usable, copies))
    samples = lengths.samples[taken]
    edges = np.unique(np.quantile(lengths.samples[usable], np.linspace(0.0, 1.0, config.buckets + 1)[1:]))
    bucket = np.searchsorted(edges, samples)
    batches: list[Indices] = []
    for at, edge in enumerate(edges):
        inside = taken[bucket == at]
        size = max(1, int(config.seconds * lengths.rate // edge))
        batches += np.split(inside, range(size, len(inside), size)) if len(inside) else []
    return [batches[at] for at in random.permutation(len(batches))]


def usable_of(lengths: Lengths, config: Batch, least_samples: float) -> tuple[Indices, list[str]]:
    """The utterances to train on, and lines on those left out: too short, too long, or of more labels than an
    alignment has room for, which takes `least_samples` samples a label."""
    seconds = lengths.samples / lengths.rate
    reasons = {
        f"shorter than batch.shortest = {config.shortest:g} s": seconds < config.shortest,
        f"longer than batch.longest = {config.longest:g} s": seconds > config.longest,
        "of no labels": lengths.labels == 0,
        "of more labels than frames": lengths.samples < lengths.labels * least_samples,
    }
    out = np.zeros(len(seconds), bool)
    lines = []
    for reason, bad in reasons.items():
        if count := int((bad & ~out).sum()):
            lines.append(f"left out: {count} of {len(seconds)} utterances, {reason}")
        out |= bad
    return np.flatnonzero(~out), lines


def _up(length: int, multiple: int) -> int:
    """Lengths are rounded up, so that few shapes occur: plans and memory of a GPU are kept by shape."""
    return -(-length // multiple) * multiple


def _step(lengths: Lengths, number: int, epoch: int, taken: list[Indices]) -> Step:
    batches = tuple(
        MicroBatch(
            number * len(taken) + at,
            each,
            _up(int(lengths.samples[each].max()), lengths.rate // 10),
            max(1, int(lengths.labels[each].max())),
        )
        for at, each in enumerate(taken)
    )
    every = np.concatenate(taken)
    labels, seconds = int(lengths.labels[every].sum()), float(lengths.samples[every].sum() / lengths.rate)
    return Step(number, epoch, batches, len(every), labels, seconds)
