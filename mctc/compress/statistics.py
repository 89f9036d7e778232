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
from mctc.checkpoint_writer import write_all
from mctc.compress.errors import CompressError
from mctc.compress.exact_sum import ExactSum
from mctc.driver.manifest import sha256
from mctc.ir.op import Array
from mctc.records import dataclass

KEY, SCHEMA = "mctc.statistics", 1
LOSS, FISHER, MOMENT, MEAN, MAGNITUDE = "loss", "fisher/", "moment/", "mean/", "magnitude/"


@dataclass
class Statistics:
    """about: model, checkpoint, data. total: utterances of the data; done: those that are in the sums, by position.

    positions: how many inputs of each weight were seen. ranges: their smallest and largest entry.
    magnitudes: how many of them are how large, [n, bins].
    """

    about: dict[str, Any]
    total: int
    done: set[int] = field(default_factory=set)
    sums: Mapping[str, ExactSum] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    magnitudes: dict[str, Array] = field(default_factory=dict)

    @property
    def loss(self) -> float:
        """The mean over the utterances, in nats."""
        return float(self._mean(LOSS, len(self.done)).item())

    def fisher(self, name: str) -> Array | None:
        """The mean over the utterances of the squared gradient: the diagonal of the empirical Fisher matrix."""
        return self._mean(FISHER + name, len(self.done)) if FISHER + name in self.sums else None

    def moment(self, name: str) -> Array | None:
        """E[x x'] [n, n] of a weight's inputs; None where they were not seen."""
        return self._mean(MOMENT + name, self.positions[name]) if MOMENT + name in self.sums else None

    def mean(self, name: str) -> Array | None:
        """E[x] [n]."""
        return self._mean(MEAN + name, self.positions[name]) if MEAN + name in self.sums else None

    def _mean(self, key: str, count: int) -> Array:
        return np.asarray(self.sums[key].value() / max(count, 1))

    def merge(self, other: Statistics) -> None:
        """Adds the utterances of another shard. Raises CompressError where they are of another run, or here already."""
        if (other.about, other.total) != (self.about, self.total):
            raise CompressError("the statistics are of another model, checkpoint or data")
        if both := self.done & other.done:
            raise CompressError(f"{len(both):,} of the utterances are in both files")
        if other.sums.keys() != self.sums.keys():
            raise CompressError("the statistics hold other weights")
        for key, each in self.sums.items():
            each.merge(other.sums[key])
        self.done |= other.done
        for name, count in other.positions.items():
            self.positions[name] = self.positions.get(name, 0) + count
        for name, counts in other.magnitudes.items():
            self.magnitudes[name] = self.magnitudes[name] + counts if name in self.magnitudes else counts
        for name, (low, high) in other.ranges.items():
            had = self.ranges.get(name, (low, high))
            self.ranges[name] = min(had[0], low), max(had[1], high)

    def write(self, path: Path) -> None:
        """The file, whole or not at all. Raises OSError."""
        told = {
            "schema": SCHEMA, "about": self.about, "total": self.total, "done": sorted(self.done),
            "exponents": {key: each.exponent for key, each in sorted(self.sums.items())},
            "positions": dict(sorted(self.positions.items())), "ranges": dict(sorted(self.ranges.items())),
        }  # fmt: skip
        tensors = {key: each.steps for key, each in self.sums.items()}
        tensors |= {MAGNITUDE + name: counts for name, counts in self.magnitudes.items()}
        write_all(path, dict(sorted(tensors.items())), {KEY: json.dumps(told)})


class Stored(Mapping[str, ExactSum]):
    """Sums that stay in their file until one is asked for: those of a large model are never in memory together."""

    def __init__(self, file: SafeTensors, exponents: Mapping[str, int]) -> None:
        self._file, self._exponents = file, {key: int(each) for key, each in exponents.items()}
        if missing := self._exponents.keys() - file.shapes.keys():
            raise KeyError(*missing)

    def __getitem__(self, key: str) -> ExactSum:
        return ExactSum(self._file.stored(key), self._exponents[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._exponents)

    def __len__(self) -> int:
        return len(self._exponents)


def read_statistics(path: Path) -> Statistics:
    """Statistics that more can be added to. Raises CompressError for a file that holds none."""
    statistics = _opened(path)
    statistics.sums = {key: ExactSum(each.steps.copy(), each.exponent) for key, each in statistics.sums.items()}
    return statistics


def _opened(path: Path) -> Statistics:
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
        counts = {key.removeprefix(MAGNITUDE): file.stored(key) for key in file.shapes if key.startswith(MAGNITUDE)}
        sums, total = Stored(file, told["exponents"]), int(told["total"])
        if sums.keys() | {MAGNITUDE + name for name in counts} != file.shapes.keys():
            raise ValueError("its metadata is of other sums")
        if any(not 0 <= each < total for each in done):
            raise ValueError("it has utterances that the data has not")
        return Statistics(dict(told["about"]), total, done, sums, positions, ranges, counts)
    except WeightsError as error:
        raise CompressError(error.message, hint=error.hint) from error
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        hint = "mctc calibrate BUILD DATA -o FILE writes some"
        raise CompressError(f"{path} holds no statistics of a calibration", hint=hint) from error


def read_measured(path: Path, checkpoint: Path) -> Statistics:
    """Statistics to compress a checkpoint with, whose sums stay in the file.

    Raises CompressError where they are of other weights, or of no utterance, as an empty shard's are.
    """
    statistics = _opened(path)
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
        try:
            total.merge(read_statistics(path))
        except CompressError as error:
            raise CompressError(f"{path} doesn't go with {first}: {error.message}") from error
    return total
