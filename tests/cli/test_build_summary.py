"""What `mctc build` says of what it built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SPEC = """
model quarters {
    dim B: batch
    dim T: time @ 100 Hz
    component c(x: f32[B, T, 4]) -> f32[B, T/4, 4] { return conv1d(x, 4, 4, stride = 4, look_ahead = 3) }
    stream { chunk = 40 ms }
}
"""


def test_a_component_without_a_step_is_told_with_the_reason(mctc: Any, tmp_path: Path) -> None:
    spec = tmp_path / "m.mct"
    spec.write_text(SPEC)
    whole = mctc("build", spec, "--target", "onnx", "-o", tmp_path / "whole", "--chunk", "30ms").stdout
    assert "c no step: a chunk of 3 frames of T gives no whole number of frames for T/4" in " ".join(whole.split())
    assert max(len(line) for line in whole.splitlines()[1:]) <= 80
    streams = mctc("build", spec, "--target", "onnx", "-o", tmp_path / "streams").stdout
    assert "no step" not in streams
