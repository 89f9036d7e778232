"""Arithmetic that overflows or is undefined ends in mctc's own words: numpy prints nothing.

A warning of numpy's is an error in a test (pyproject.toml), and so an internal error of the command.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from .conftest import Command

SPEC = """model undefined() {
    dim B: batch
    dim T: time @ 100 Hz

    component encoder(x: f32[B, T, 8]) -> f32[B, T, 8] {
        zero = x - x
        return exp(x * 1000) + sqrt(x) + log(zero) + x / zero
    }

    stream { chunk = 40 ms }
}
"""


@pytest.mark.parametrize("more", ["--target onnx", "--target torch --verify-each"])
def test_nothing_of_numpy_reaches_the_user(more: str, place: Path, command: Command) -> None:
    (place / "undefined.mct").write_text(SPEC)
    said = [command("build", "undefined.mct", "-o", "out", *more.split())]
    if (place / "out").is_dir():
        said.append(command("verify", "out", "--no-runtimes"))
    for done in said:
        assert "Warning" not in done.err + done.out
        assert "internal error" not in done.err


def test_a_program_is_evaluated_without_a_warning(place: Path) -> None:
    from mctc.evaluate.reference import evaluate
    from mctc.language import elaborate_file

    (place / "undefined.mct").write_text(SPEC)
    function = elaborate_file("undefined.mct").functions["encoder"]
    results, _ = evaluate(function, {"x": np.full((1, 4, 8), -1e300)}, lambda name: np.zeros(0))
    assert np.isnan(results["output"]).all()
