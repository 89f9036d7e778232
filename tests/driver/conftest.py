"""A small transducer spec, and builds of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mctc.driver import BuildOptions, BuildResult, build

SPEC = """\
import "lib/mamba.mct"

model small(mels = 16, width = 32, depth = 2, vocab = 40) {
    dim B: batch
    dim T: time @ 100 Hz
    dim U: label
    dim V: vocabulary = vocab + 1

    component encoder(mel: f32[B, T, mels]) -> f32[B, T/2, width] {
        x = conv1d(mel, width, kernel = 3, stride = 2) as front
        repeat depth { x = x + mamba(layer_norm(x), state = 4) }
        return layer_norm(x) as norm
    }
    component predictor(token: i32[B, U] < V) -> f32[B, U, width] {
        return lstm(embedding(token, V, width), width)
    }
    component joiner(enc: f32[B, T/2, width], pred: f32[B, U, width]) -> f32[B, T/2, U, V] {
        return linear(tanh(enc + pred), V) as out
    }
    train { objective = rnnt(blank = 0) }
    stream { chunk = 80 ms }
    quantize { encoder.**.in_proj: int4(per_channel) }
}
"""

Build = Callable[..., BuildResult]


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "small.mct"
    path.write_text(SPEC)
    return path


@pytest.fixture
def make(spec: Path, tmp_path: Path) -> Build:
    """`make('out', state='io')` builds the spec into that folder."""

    def run(name: str = "out", **options: object) -> BuildResult:
        return build(spec, tmp_path / name, BuildOptions(**options))  # type: ignore[arg-type]

    return run
