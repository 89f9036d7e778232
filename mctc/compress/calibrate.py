"""Speech through the training module of a build: ranges and moments of what weights are given, and Fisher diagonals.

The diagonal of the empirical Fisher matrix is the mean of the squared gradients of each utterance's loss (Amari 1998;
Theis et al. 2018, arXiv:1801.05787, for compression). Utterances go through one by one, so memory does not grow with
their number; each gradient is squared and added as soon as it is whole, to sums that lie on the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from mctc.compress.errors import CompressError
from mctc.compress.exact_sum import ExactSum, TooLargeError
from mctc.compress.growing_sums import GrowingSums
from mctc.compress.magnitudes import counted
from mctc.compress.speech import Speech
from mctc.compress.statistics import FISHER, LOSS, MAGNITUDE, MEAN, MOMENT, Statistics
from mctc.driver.learner import Learner
from mctc.ir.op import Array
from mctc.score.shard import Shard

WIDEST = 4096  # entries of a row; of wider inputs only the diagonal of the moment would fit into memory
EVERY = 32  # utterances between two writes of the file
FIRST = 8  # utterances that the sums' grids are of: gradients of one that is known by heart are next to nothing


def calibrate(
    learner: Learner, speech: Speech, statistics: Statistics, shard: Shard, out: Path, told: Callable[[str], None]
) -> None:
    """Adds the utterances of a shard that are not in the statistics yet, and writes the file now and then.

    Raises CompressError, ManifestError and OSError.
    """
    if not statistics.sums.grids:
        _begin(learner, speech, range(min(FIRST, statistics.total)), statistics.growing)
    left = [at for at in shard.of(range(statistics.total)) if at not in statistics.done]
    for number, at in enumerate(left, 1):
        try:
            _measure(learner, speech, at, statistics.growing.add, statistics)
        except TooLargeError as error:
            raise CompressError(f"{speech.utterances[at].id}: {error.message}", hint=error.hint) from error
        statistics.done.add(at)
        told(f"{number:,} of {len(left):,}, {speech.utterances[at].id}")
        if number % EVERY == 0 and number < len(left):
            statistics.write(out)
    statistics.write(out)


def _begin(learner: Learner, speech: Speech, first: Iterable[int], sums: GrowingSums) -> None:
    """Makes an empty sum for each term: of whole numbers for counts, else of the grid of the largest that these
    utterances add, which are the same for every shard."""
    shapes: dict[str, tuple[int, ...]] = {}
    largest: dict[str, float] = {}  # of terms that are not counts

    def see(key: str, term: Array) -> None:
        shapes[key] = term.shape
        if not np.issubdtype(term.dtype, np.integer):
            largest[key] = max(largest.get(key, 0.0), float(np.abs(term).max(initial=0.0)))

    for at in first:
        _measure(learner, speech, at, see)
    for key, shape in shapes.items():
        counts = ExactSum(np.zeros(shape, np.int64), 0)
        sums.begin(key, ExactSum.of(shape, largest[key]) if key in largest else counts)


def _measure(
    learner: Learner, speech: Speech, at: int, add: Callable[[str, Array], None], seen: Statistics | None = None
) -> None:
    """Gives what one utterance adds to each sum as soon as it is known, so that it is never all in memory. seen: where
    inputs are counted, and ranges widened."""

    def take(name: str, rows: Array) -> None:
        if seen is not None:
            _widen(seen, name, rows)
        add(MEAN + name, rows.sum(0, dtype=np.float64))
        if rows.shape[1] <= WIDEST:
            add(MOMENT + name, rows.T @ rows)
            add(MAGNITUDE + name, counted(rows))

    def give(name: str, gradient: Array) -> None:
        add(FISHER + name, np.square(gradient, dtype=np.float64))

    add(LOSS, np.array([learner.gradients(*speech.heard(at), give, take)]))


def _widen(statistics: Statistics, name: str, rows: Array) -> None:
    """Counts a weight's inputs, and widens their range."""
    statistics.positions[name] = statistics.positions.get(name, 0) + len(rows)
    low, high = float(rows.min(initial=np.inf)), float(rows.max(initial=-np.inf))
    had = statistics.ranges.get(name, (low, high))
    statistics.ranges[name] = min(had[0], low), max(had[1], high)


def mean_loss(learner: Learner, speech: Speech, which: Iterable[int]) -> float:
    """The mean loss of utterances, in nats."""
    losses = [learner.loss(*speech.heard(at)) for at in which]
    return float(np.mean(losses))
