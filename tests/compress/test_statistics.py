"""Statistics as a file: what there is to compress with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mctc.compress.errors import CompressError
from mctc.compress.exact_sum import ExactSum
from mctc.compress.statistics import LOSS, Statistics, read_measured, read_statistics


def test_a_shard_without_utterances_merges_and_is_nothing_to_compress_with(tmp_path: Path) -> None:
    path = tmp_path / "empty.safetensors"
    Statistics({"model": "m"}, 1, sums={LOSS: ExactSum(np.zeros((), np.int64), 0)}).write(path)
    assert read_statistics(path).total == 1
    with pytest.raises(CompressError, match="was measured over no utterance"):
        read_measured(path)
