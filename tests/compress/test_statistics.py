"""Statistics as a file: what there is to compress with."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.atomic import check_place
from mctc.checkpoint import SafeTensors
from mctc.checkpoint_writer import write_all
from mctc.cli.calibrate import summary
from mctc.compress.errors import CompressError
from mctc.compress.exact_sum import ExactSum
from mctc.compress.growing_sums import GrowingSums
from mctc.compress.statistics import FISHER, KEY, LOSS, Statistics, read_measured, read_statistics
from mctc.driver.manifest import sha256


def empty(folder: Path) -> GrowingSums:
    """One sum, of nothing."""
    return GrowingSums.of(folder, {LOSS: ExactSum(np.zeros((), np.int64), 0)})


def test_a_place_that_cannot_be_written_is_told_and_one_that_can_is_left_alone(tmp_path: Path) -> None:
    for place in (tmp_path / "none" / "s.safetensors", tmp_path):
        with pytest.raises(OSError, match=re.escape(str(tmp_path))):
            check_place(place)
    (tmp_path / "s").write_text("old")
    check_place(tmp_path / "s")
    check_place(tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
    assert (tmp_path / "s").read_text() == "old"


def test_a_shard_without_utterances_merges_and_is_nothing_to_compress_with(tmp_path: Path) -> None:
    path, weights = tmp_path / "empty.safetensors", tmp_path / "weights.safetensors"
    weights.write_bytes(b"of a model")
    Statistics({"model": "m", "weights": sha256(weights)}, 1, empty(tmp_path)).write(path)
    assert read_statistics(path).total == 1
    with pytest.raises(CompressError, match="was measured over no utterance"):
        read_measured(path, weights)
    weights.write_bytes(b"of another")
    with pytest.raises(CompressError, match="was measured with other weights"):
        read_measured(path, weights)


def test_sums_to_compress_with_stay_in_the_file_and_those_to_add_to_do_not(tmp_path: Path) -> None:
    path, weights = tmp_path / "stats.safetensors", tmp_path / "weights.safetensors"
    weights.write_bytes(b"of a model")
    term = np.array([3.0, -0.5])
    sums = GrowingSums(tmp_path)
    sums.begin(f"{FISHER}w", ExactSum.like(term))
    sums.add(f"{FISHER}w", term)
    measured = Statistics({"weights": sha256(weights)}, 1, sums, {0})
    measured.write(path)
    lazy, whole = read_measured(path, weights), read_statistics(path)
    for each in (lazy, whole):
        np.testing.assert_array_equal(each.fisher("w"), term)
    whole.growing.add(f"{FISHER}w", term)
    np.testing.assert_array_equal(whole.fisher("w"), 2 * term)
    np.testing.assert_array_equal(lazy.fisher("w"), term)
    path.unlink()
    with pytest.raises(OSError, match="stats"):
        lazy.fisher("w")


def test_of_a_pipe_no_size_is_told(tmp_path: Path) -> None:
    statistics = Statistics({"model": "m"}, 2, empty(tmp_path))
    statistics.write(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    file, pipe = (summary(statistics, tmp_path / name)[0] for name in ("file", "pipe"))
    assert re.search(r"m, 0 of 2 utterances, 0\.000\d+ MB$", file)
    assert pipe.endswith("m, 0 of 2 utterances")


@pytest.mark.parametrize(
    "change",
    [{"exponents": {}}, {"done": [0, 5]}, {"done": [-1]}, {"total": -1}, {"total": "x"}, {"ranges": []}],
    ids=str,
)
def test_metadata_of_other_sums_is_no_calibration(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "stats.safetensors"
    sums = empty(tmp_path)
    Statistics({"model": "m"}, 2, sums, {0}).write(path)
    told = json.loads(SafeTensors(path).metadata[KEY])
    write_all(path, {LOSS: sums[LOSS].steps}, {KEY: json.dumps(told | change)})
    with pytest.raises(CompressError, match=r"stats.safetensors holds no statistics of a calibration"):
        read_statistics(path)
