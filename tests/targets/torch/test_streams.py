"""Several streams in one step, each as long as it is: what each gives alone, and what its whole utterance gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.reduced import SIZES

from .made import Made, make_spec

CELLS = """
block scan(u: f32[B, T, W], state = 4) -> f32[B, T, W] {
    b, c = split(linear(u, 2 * state) as bc, 2)
    param A_log: f32[W, state] = log_arange()
    param D: f32[W] = 1
    return selective_scan(u, softplus(linear(u, W) as dt), -exp(A_log), b, c, D)
}
model ahead(mels = 8, width = 16) {
    dim B: batch
    dim T: time @ 100 Hz
    component encoder(mel: f32[B, T, mels]) -> f32[B, T/2, width] {
        x = conv1d(mel, width, 3, look_ahead = 2) as first
        x = relu(conv1d(x, width, 3, stride = 2, look_ahead = 1) as second)
        x = x + lstm(x, width) as lstm
        x = x + gru(x, width) as gru
        x = x + scan(x) as scan
        return x
    }
    stream { chunk = 160 ms }
}
"""
LENGTHS = [101, 64, 37, 2]


@pytest.fixture(scope="module", params=["ahead", "conformer_streaming"])
def made(request: pytest.FixtureRequest, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param in SIZES:
        return make_spec(root / "spec" / f"{request.param}.mct", folder, **SIZES[request.param])
    spec = folder / "ahead.mct"
    spec.write_text(CELLS)
    return make_spec(spec, folder)


def streamed(component: Any, x: Tensor, valid: Tensor, chunk: int) -> Tensor:
    state, parts = component.initial_state(len(x)), []
    for piece, exists in zip(x.split(chunk, dim=3), valid.split(chunk, dim=-1), strict=True):
        part, state = component.step(piece, exists, state)
        parts.append(part)
    return torch.cat(parts, dim=3)


def test_streams_of_different_lengths_step_together(made: Made) -> None:
    component, info = made.model.encoder, made.compiled.steps["encoder"]
    (timing,) = info.timings.values()
    jump, bins = int(timing.jump), made.whole.functions["encoder"].inputs[0].type.extents[1].value
    total = -(-(max(LENGTHS) + timing.delay * jump + jump) // info.chunk) * info.chunk
    x = torch.randn(len(LENGTHS), bins, 1, total, generator=torch.Generator().manual_seed(0))
    valid = torch.zeros(len(LENGTHS), total)
    for row, length in enumerate(LENGTHS):
        x[row, ..., length:] = 0
        valid[row, : -(-length // jump) * jump] = 1
    with torch.no_grad():
        together = streamed(component, x, valid, info.chunk)
        for row, length in enumerate(LENGTHS):
            alone = streamed(component, x[row : row + 1], valid[row], info.chunk)
            whole = component(x[row : row + 1, ..., :length])
            frames = slice(timing.delay, timing.delay + whole.shape[3])
            scale = float(whole[whole > -5000].abs().max())
            for other in (alone[..., frames], whole):
                off = (together[row : row + 1, ..., frames] - other).abs() * (other > -5000)
                assert float(off.max()) <= 5e-6 * scale, length
