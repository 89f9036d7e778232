"""Which utterances make up each micro-batch: a pure function of lengths, seed and epoch, not of the processes.

An optimiser step takes `accumulate` micro-batches; process r of W takes those with index r modulo W. So one GPU with
accumulation and several without see the same data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .config import Batch, ConfigError

Indices = NDArray[np.int64]
LABELS_MULTIPLE = 8


class Group(NamedTuple):
    """Utterances of about the same length, and the samples that all of them fit into."""

    utterances: Indices
    samples: int


@dataclass(frozen=True)
class MicroBatch:
    """Utterances, and how wide their samples and labels are, padding counted. `number` seeds what is random."""

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
    repeats: Indices | int = 0  # labels that follow one of their own: CTC has a blank between


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


def epoch_batches(lengths: Lengths, usable: Indices, config: Batch, seed: int, epoch: int) -> list[Group]:
    """Micro-batches of one epoch in random order, each of utterances of about the same length.

    All of a bucket are of one shape: a GPU plans its work by shape, which costs more than a small model's step. What is
    left over in a bucket goes into the next longer one.
    """
    random = np.random.default_rng((seed, epoch))
    weights = lengths.weights[usable]
    copies = np.floor(weights + random.random(len(usable))).astype(np.int64)
    taken = random.permutation(np.repeat(usable, copies))
    samples = lengths.samples[taken]
    edges = np.quantile(lengths.samples[usable], np.linspace(0.0, 1.0, config.buckets + 1)[1:])
    edges = np.unique(_up(np.ceil(edges).astype(np.int64), lengths.rate // 10))
    bucket, left = np.searchsorted(edges, samples), taken[:0]
    batches: list[Group] = []
    for at, edge in enumerate(edges.tolist()):
        inside = np.concatenate([left, taken[bucket == at]])
        size = max(1, int(config.seconds * lengths.rate // edge))
        full = len(inside) - len(inside) % size
        batches += [Group(inside[begin : begin + size], edge) for begin in range(0, full, size)]
        left = inside[full:]
    if len(left):
        batches.append(Group(left, int(edges[-1])))
    return [batches[at] for at in random.permutation(len(batches))]


def usable_of(lengths: Lengths, config: Batch, least_samples: float) -> tuple[Indices, list[str]]:
    """The utterances to train on, and lines on those left out: too short, too long, or of more labels than an
    alignment has room for, which takes `least_samples` samples a label."""
    seconds = lengths.samples / lengths.rate
    reasons = {
        f"shorter than batch.shortest = {config.shortest:g} s": seconds < config.shortest,
        f"longer than batch.longest = {config.longest:g} s": seconds > config.longest,
        "of no labels": lengths.labels == 0,
        "of more labels than frames": lengths.samples < (lengths.labels + lengths.repeats) * least_samples,
    }
    out = np.zeros(len(seconds), bool)
    lines = []
    for reason, bad in reasons.items():
        if count := int((bad & ~out).sum()):
            lines.append(f"left out: {count} of {len(seconds)} utterances, {reason}")
        out |= bad
    return np.flatnonzero(~out), lines


def _up(length: Indices, multiple: int) -> Indices:
    """Lengths rounded up, so that few shapes occur."""
    return -(-length // multiple) * multiple


def _step(lengths: Lengths, number: int, epoch: int, taken: list[Group]) -> Step:
    batches = tuple(
        MicroBatch(
            number * len(taken) + at, each, samples, int(_up(lengths.labels[each].max().clip(1), LABELS_MULTIPLE))
        )
        for at, (each, samples) in enumerate(taken)
    )
    every = np.concatenate([each.utterances for each in taken])
    labels, seconds = int(lengths.labels[every].sum()), float(lengths.samples[every].sum() / lengths.rate)
    return Step(number, epoch, batches, len(every), labels, seconds)
