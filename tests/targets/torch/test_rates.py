"""Modules over inputs of more frames than their time dimension has, and over two time dimensions."""

from __future__ import annotations

from pathlib import Path

import pytest

from mctc.driver import BuildOptions, build
from mctc.proof.proof import Proof

FINER = """
    component c(x: f32[B, 2 * T, width], y: f32[B, T/2, width]) -> f32[B, T/2, width] {
        h = conv1d(attention(x, x, x, heads = 1, left = 2, right = 1), width, 4, stride = 4, look_ahead = 3)
        return conv1d(h + y, width, 3, look_ahead = 1)
    }
    stream { chunk = 40 ms }
"""
TWO_TIMES = """
    dim S: time @ 25 Hz
    component c(x: f32[B, T, width], y: f32[B, S, width]) -> (a: f32[B, T, width], b: f32[B, S, width]) {
        return x + attention(x, y, y, heads = 1), conv1d(y, width, 3, look_ahead = 1)
    }
    utterance { length = 160 ms }
"""


@pytest.mark.parametrize("body", [FINER, TWO_TIMES])
def test_every_rung_of_a_torch_build_holds(body: str, tmp_path: Path) -> None:
    head = "model rates(width = 4) {\n    dim B: batch\n    dim T: time @ 100 Hz"
    (tmp_path / "rates.mct").write_text(f"{head}{body}}}\n")
    folder = build(tmp_path / "rates.mct", tmp_path / "out", BuildOptions(target="torch")).folder
    checks = list(Proof(folder, runtimes=[]).checks())
    assert {(check.name, check.measured) for check in checks if check.ok is False} == set()
    assert any(check.name.startswith("torch") for check in checks)
