"""Sums that lie on the disk while terms are added: the same to the bit as sums in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mctc.compress import growing_sums
from mctc.compress.errors import CompressError
from mctc.compress.exact_sum import ExactSum
from mctc.compress.growing_sums import GrowingSums


@pytest.mark.parametrize("shape", [(1,), (3, 5), (70, 300)], ids=str)
def test_sums_on_the_disk_are_those_in_memory(
    shape: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing_sums, "PART", 1000)
    terms = [np.random.default_rng(seed).normal(0, 1, shape) for seed in range(4)]
    held, grown = ExactSum.like(terms[0]), GrowingSums(tmp_path)
    grown.begin("before", ExactSum.like(np.ones(9000)))
    grown.begin("sum", held)
    for term in terms:
        held.add(term)
        grown.add("sum", term)
    grown.merge("sum", held)
    assert np.array_equal(grown["sum"].steps, 2 * held.steps)
    assert not grown["before"].steps.any()
    assert grown.grids["sum"] == (shape, held.exponent)
    assert not list(tmp_path.iterdir())


def test_terms_of_another_shape_or_grid_are_refused(tmp_path: Path) -> None:
    grown = GrowingSums.of(tmp_path, {"sum": ExactSum.like(np.ones(20_000))})
    with pytest.raises(CompressError, match="other first utterances"):
        grown.add("sum", np.ones(10))
    with pytest.raises(CompressError, match="other first utterances"):
        grown.merge("sum", ExactSum.like(np.full(20_000, 100.0)))
    with pytest.raises(CompressError, match="not finite"):
        grown.add("sum", np.full(20_000, np.nan))


def test_a_full_disk_is_told_with_what_the_sums_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grown = GrowingSums.of(tmp_path, {"sum": ExactSum.like(np.ones(20_000))})

    class Full:
        def seek(self, _: int) -> None:
            pass

        def readinto(self, buffer: memoryview) -> int:
            return len(buffer)

        def write(self, _: memoryview) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(grown, "_file", Full())
    with pytest.raises(CompressError, match=r"the sums take 0 MB on the disk of .*: No space left on device"):
        grown.add("sum", np.ones(20_000))
