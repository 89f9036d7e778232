"""Speech through the training module of a build: ranges and moments of what weights are given, and Fisher diagonals.

The diagonal of the empirical Fisher matrix is the mean of the squared gradients of each utterance's loss (Amari 1998;
Theis et al. 2018, arXiv:1801.05787, for compression). Utterances go through one by one, so memory does not grow with
their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from mctc.compress.exact_sum import ExactSum
from mctc.compress.magnitudes import counted
from mctc.compress.speech import Speech
from mctc.compress.statistics import FISHER, LOSS, MEAN, MOMENT, Statistics
from mctc.driver.learner import Learner
from mctc.ir.op import Array
from mctc.score.shard import Shard

WIDEST = 4096  # entries of a row; of wider inputs only the diagonal of the moment would fit into memory
EVERY = 32  # utterances between two writes of the file


def calibrate(
    learner: Learner, speech: Speech, statistics: Statistics, shard: Shard, out: Path, told: Callable[[str], None]
) -> None:
    """Adds the utterances of a shard that are not in the statistics yet, and writes the file now and then.

    Raises CompressError, ManifestError and OSError.
    """
    if not statistics.sums:
        first = _terms(learner, speech, 0, statistics, keep=False)
        statistics.sums = {key: ExactSum.like(term) for key, term in first}
    left = [at for at in shard.of(range(statistics.total)) if at not in statistics.done]
    for number, at in enumerate(left, 1):
        for key, term in _terms(learner, speech, at, statistics, keep=True):
            statistics.sums[key].add(term)
        statistics.done.add(at)
        told(f"{number:,} of {len(left):,}, {speech.utterances[at].id}")
        if number % EVERY == 0 and number < len(left):
            statistics.write(out)
    statistics.write(out)


def _terms(
    learner: Learner, speech: Speech, at: int, statistics: Statistics, *, keep: bool
) -> Iterator[tuple[str, Array]]:
    """What one utterance adds to each sum. keep: count it, and widen the ranges."""
    terms: dict[str, Array] = {}

    def take(name: str, rows: Array) -> None:
        if keep:
            statistics.positions[name] = statistics.positions.get(name, 0) + len(rows)
            low, high = float(rows.min(initial=np.inf)), float(rows.max(initial=-np.inf))
            had = statistics.ranges.get(name, (low, high))
            statistics.ranges[name] = min(had[0], low), max(had[1], high)
            if rows.shape[1] <= WIDEST:
                _add(statistics.magnitudes, name, counted(rows))
        _add(terms, MEAN + name, rows.sum(0, dtype=np.float64))
        if rows.shape[1] <= WIDEST:
            _add(terms, MOMENT + name, rows.T @ rows)

    loss, gradients = learner.gradients(*speech.heard(at), take)
    yield LOSS, np.array([loss])
    yield from terms.items()
    for name, gradient in gradients.items():  # squared one at a time: in float64 they take twice what all weights do
        yield FISHER + name, np.square(gradient, dtype=np.float64)


def _add(terms: dict[str, Array], key: str, term: Array) -> None:
    """A weight that is read more than once in an utterance has one term all the same."""
    terms[key] = terms[key] + term if key in terms else term


def mean_loss(learner: Learner, speech: Speech, which: Iterable[int]) -> float:
    """The mean loss of utterances, in nats."""
    losses = [learner.loss(*speech.heard(at)) for at in which]
    return float(np.mean(losses))
