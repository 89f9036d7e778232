"""Attention to a memory that grows at a rate of its own, against its definition; streamed as well."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mctc.driver.make import build
from mctc.driver.options import BuildOptions
from mctc.evaluate.reference import evaluate
from mctc.language import elaborate_file

EVERY, HEADS, ROWS = 3, 2, 4
MODEL = f"""
import "lib/memory.mct"
model remembers(width = 4) {{
    dim B: batch
    dim T: time @ 100 Hz
    component c(q: f32[B, T, 6], k: f32[B, T/{EVERY}, 6], v: f32[B, T/{EVERY}, 4]) -> f32[B, T, 4] {{
        return attend_growing(q, k, v, heads = {HEADS}, every = {EVERY}, rows = {ROWS})
    }}
    stream {{ chunk = 30 ms }}
}}
"""


def test_a_frame_sees_the_rows_so_far_up_to_the_bound(tmp_path: Path) -> None:
    (tmp_path / "m.mct").write_text(MODEL)
    random = np.random.default_rng(1)
    q, k, v = (random.normal(size=(1, *shape)) for shape in ((21, 6), (7, 6), (7, 4)))
    function = elaborate_file(tmp_path / "m.mct").functions["c"]
    found = evaluate(function, {"q": q, "k": k, "v": v}, lambda name: q)[0]["output"][0]
    for t in range(21):
        rows = range(max(0, t // EVERY - ROWS + 1), t // EVERY + 1)
        for head in range(HEADS):
            scores = np.array([q[0, t].reshape(HEADS, 3)[head] @ k[0, n].reshape(HEADS, 3)[head] for n in rows])
            weights = np.exp(scores / np.sqrt(3))
            expected = sum(w * v[0, n].reshape(HEADS, 2)[head] for w, n in zip(weights / weights.sum(), rows))
            np.testing.assert_allclose(found[t].reshape(HEADS, 2)[head], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("target", ["ane"])
def test_it_streams_with_the_rows_as_states(tmp_path: Path, target: str) -> None:
    from mctc.ir.text import parse_program

    (tmp_path / "m.mct").write_text(MODEL)
    folder = build(tmp_path / "m.mct", tmp_path / "out", BuildOptions(target=target)).folder
    program = parse_program((folder / "program.mir").read_text(encoding="utf-8"))
    (packed,) = [state.value.type.size for state in program.functions["c"].states]
    assert packed >= (ROWS - 1) * (6 + 4)
    assert "transpose" not in {op.name for op in program.functions["c"].ops}
