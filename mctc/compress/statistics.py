"""What a calibration measured of a model: one file, which shards merge into and a stopped run goes on with.

A safetensors file of 64-bit sums: `moment/NAME` [n, n] of the products of a weight's inputs, `mean/NAME` [n] of the
inputs, `fisher/NAME` of the squared gradients of each utterance's loss, in the shape of the module's tensor,
`magnitude/NAME` [n, bins] of counts of the inputs by magnitude (mctc/compress/magnitudes.py), and `loss`. The
metadata entry `mctc.statistics` is JSON: what was measured, exponents, counts and ranges.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np

from mctc.checkpoint import SafeTensors, WeightsError
from mctc.checkpoint_writer import write_tensors
from mctc.compress.errors import CompressError
from mctc.compress.exact_sum import ExactSum
from mctc.compress.growing_sums import Grid, GrowingSums, Sums
from mctc.driver.manifest import sha256
from mctc.ir.op import Array
from mctc.records import dataclass

KEY, SCHEMA = "mctc.statistics", 1
LOSS, FISHER, MOMENT, MEAN, MAGNITUDE = "loss", "fisher/", "moment/", "mean/", "magnitude/"


@dataclass
class Statistics:
    """about: model, checkpoint, data. total: utterances of the data; done: those that are in the sums, by position.
    Terms are added to `sums` that grow; those of a file stay in it, and are read alone.

    positions: how many inputs of each weight were seen. ranges: their smallest and largest entry.
    """

    about: dict[str, Any]
    total: int
    sums: Sums
    done: set[int] = field(default_factory=set)
    positions: dict[str, int] = field(default_factory=dict)
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def loss(self) -> float:
        """The mean over the utterances, in nats."""
        return float(self._mean(LOSS, len(self.done)).item())

    def fisher(self, name: str) -> Array | None:
        """The mean over the utterances of the squared gradient: the diagonal of the empirical Fisher matrix."""
        return self._mean(FISHER + name, len(self.done)) if FISHER + name in self.sums.grids else None

    def moment(self, name: str) -> Array | None:
        """E[x x'] [n, n] of a weight's inputs; None where they were not seen."""
        return self._mean(MOMENT + name, self.positions[name]) if MOMENT + name in self.sums.grids else None

    def mean(self, name: str) -> Array | None:
        """E[x] [n]."""
        return self._mean(MEAN + name, self.positions[name]) if MEAN + name in self.sums.grids else None

    def magnitude(self, name: str) -> Array | None:
        """How many of a weight's inputs are how large, [n, bins]."""
        return self.sums[MAGNITUDE + name].steps if MAGNITUDE + name in self.sums.grids else None

    def _mean(self, key: str, count: int) -> Array:
        return np.asarray(self.sums[key].value() / max(count, 1))

    @property
    def growing(self) -> GrowingSums:
        """The sums, to add to."""
        assert isinstance(self.sums, GrowingSums), "these sums are a file's"
        return self.sums

    def merge(self, other: Statistics) -> None:
        """Adds the utterances of another shard. Raises CompressError where they are of another run, or here already."""
        if (other.about, other.total) != (self.about, self.total):
            raise CompressError("the statistics are of another model, checkpoint or data")
        if both := self.done & other.done:
            raise CompressError(f"{len(both):,} of the utterances are in both files")
        if other.sums.grids.keys() != self.sums.grids.keys():
            raise CompressError("the statistics hold other weights")
        for key in self.sums.grids:
            self.growing.merge(key, other.sums[key])
        self.done |= other.done
        for name, count in other.positions.items():
            self.positions[name] = self.positions.get(name, 0) + count
        for name, (low, high) in other.ranges.items():
            had = self.ranges.get(name, (low, high))
            self.ranges[name] = min(had[0], low), max(had[1], high)

    def write(self, path: Path) -> None:
        """The file, whole or not at all. Raises OSError."""
        grids = dict(sorted(self.sums.grids.items()))
        told = {
            "schema": SCHEMA, "about": self.about, "total": self.total, "done": sorted(self.done),
            "exponents": {key: each.exponent for key, each in grids.items() if not key.startswith(MAGNITUDE)},
            "positions": dict(sorted(self.positions.items())), "ranges": dict(sorted(self.ranges.items())),
        }  # fmt: skip
        kinds = {key: ("int64", each.shape) for key, each in grids.items()}
        write_tensors(path, kinds, lambda key: self.sums[key].steps, {KEY: json.dumps(told)})


class Stored(Mapping[str, ExactSum]):
    """Sums that stay in their file until one is asked for: those of a large model are never in memory together."""

    def __init__(self, file: SafeTensors, exponents: Mapping[str, int]) -> None:
        self._file = file
        self.grids = {key: Grid(file.shapes[key], int(each)) for key, each in exponents.items()}

    def __getitem__(self, key: str) -> ExactSum:
        return ExactSum(self._file.stored(key), self.grids[key].exponent)

    def __iter__(self) -> Iterator[str]:
        return iter(self.grids)

    def __len__(self) -> int:
        return len(self.grids)


def read_statistics(path: Path) -> Statistics:
    """Statistics that more can be added to, in a file beside this one. Raises CompressError for a file that holds none,
    and OSError."""
    statistics, stored = _opened(path)
    statistics.sums = GrowingSums.of(path.resolve().parent, stored)
    return statistics


def _opened(path: Path) -> tuple[Statistics, Stored]:
    """With its sums still in the file."""
    try:
        file = SafeTensors(path)
        told = json.loads(file.metadata[KEY])
        if told["schema"] != SCHEMA:
            raise CompressError(f"{path} was written by another mctc", hint="calibrate again")
        if any(entry["dtype"] != "I64" for entry in file.entries.values()):
            raise ValueError("its tensors are no sums")
        ranges = {str(name): (float(low), float(high)) for name, (low, high) in told["ranges"].items()}
        done, positions = set(map(int, told["done"])), {str(k): int(n) for k, n in told["positions"].items()}
        counts = {key: 0 for key in file.shapes if key.startswith(MAGNITUDE)}
        sums, total = Stored(file, told["exponents"] | counts), int(told["total"])
        if sums.grids.keys() != file.shapes.keys():
            raise ValueError("its metadata is of other sums")
        if any(not 0 <= each < total for each in done):
            raise ValueError("it has utterances that the data has not")
        return Statistics(dict(told["about"]), total, sums, done, positions, ranges), sums
    except WeightsError as error:
        raise CompressError(error.message, hint=error.hint) from error
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        hint = "mctc calibrate BUILD DATA -o FILE writes some"
        raise CompressError(f"{path} holds no statistics of a calibration", hint=hint) from error


def read_measured(path: Path, checkpoint: Path) -> Statistics:
    """Statistics to compress a checkpoint with, whose sums stay in the file.

    Raises CompressError where they are of other weights, or of no utterance, as an empty shard's are.
    """
    statistics, _ = _opened(path)
    if statistics.about.get("weights") != sha256(checkpoint):
        hint = f"mctc calibrate BUILD DATA --weights {checkpoint} -o FILE"
        raise CompressError(f"{path} was measured with other weights than {checkpoint}", hint=hint)
    if not statistics.done:
        hint = "mctc calibrate --merge FILE... -o FILE adds up the files of all shards"
        raise CompressError(f"{path} was measured over no utterance", hint=hint)
    return statistics


def merged(files: Iterable[Path]) -> Statistics:
    """The sums of shards. Raises CompressError, which names the file that doesn't fit."""
    first, *rest = files
    total = read_statistics(first)
    for path in rest:
        statistics = read_statistics(path)
        try:
            total.merge(statistics)
        except CompressError as error:
            raise CompressError(f"{path} doesn't go with {first}: {error.message}") from error
    return total
