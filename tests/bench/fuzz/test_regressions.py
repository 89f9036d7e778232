"""What the fuzzer found once stays mended: every spec in regressions/ goes through the whole pipeline again."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.fuzz.regression import replay

FILES = sorted((Path(__file__).parent / "regressions").glob("*.mct"))
SECONDS = (  # what takes longest
    "cell_from_zeros_compressed",
    "cosine_of_a_palette",
    "gates_of_large_states",
    "layers_of_one_name",
    "look_ahead_without_a_batch",
    "no_key_but_before_the_stream",
    "norm_of_two_that_are_near",
    "one_frame_turned",
    "root_of_a_masked_number",
)


@pytest.mark.quick(*(path.stem for path in FILES if path.stem not in SECONDS))
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_regression_passes(path: Path) -> None:
    outcome = replay(path)
    assert outcome is None or outcome.errors
