"""The library's spectra and rates against numpy's transforms and the front end of mctc.audio."""

from __future__ import annotations

import numpy as np

from mctc.audio import log_mel
from mctc.evaluate.reference import evaluate
from mctc.ir.op import Array

from .conftest import Elaborate

SPEC = """import "lib/spectrum.mct"
model spectra(hop = 8, size = 32) {
    dim B: batch
    dim T: time @ 16 kHz
    component parts(x: f32[B, T, 8]) -> (re: f32[B, T, 17], im: f32[B, T, 17]) {
        re, im = stft(x, size, look_ahead = 1)
        return re, im
    }
    component back(re: f32[B, T, 17], im: f32[B, T, 17]) -> f32[B, T, 8] { return istft(re, im, hop, look_ahead = 1) }
    component mel(samples: f32[B, T, 1]) -> f32[B, T/160, 80] { return log_mel(fold_time(samples, 160)) }
    component up(x: f32[B, T, 2]) -> f32[B, 3 * T, 2] { return upsample_linear(x, 3) }
}
"""


def run(elaborate: Elaborate, name: str, **inputs: Array) -> dict[str, Array]:
    return evaluate(elaborate(SPEC).functions[name], inputs, {}.__getitem__)[0]


def test_columns_are_transforms_of_windows(elaborate: Elaborate) -> None:
    x = np.random.default_rng(0).normal(size=(1, 9, 8))
    found = run(elaborate, "parts", x=x)
    sound, window = np.pad(x.ravel(), (16, 8)), 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(32) / 32)
    columns = np.stack([np.fft.rfft(window * sound[8 * t : 8 * t + 32]) for t in range(9)])
    np.testing.assert_allclose(found["re"][0] + 1j * found["im"][0], columns, atol=1e-10)


def test_the_inverse_gives_the_samples_that_all_columns_saw(elaborate: Elaborate) -> None:
    x = np.random.default_rng(0).normal(size=(1, 12, 8))
    parts = run(elaborate, "parts", x=x)
    back = run(elaborate, "back", **parts)["output"]
    np.testing.assert_allclose(back[:, 1:-2], x[:, 1:-2], atol=1e-10)


def test_log_mel_is_that_of_the_front_end(elaborate: Elaborate) -> None:
    samples = np.random.default_rng(0).normal(size=1600, scale=0.1).astype(np.float32)
    found = run(elaborate, "mel", samples=samples[None, :, None])["output"][0]
    np.testing.assert_allclose(found, log_mel(samples), atol=1e-5)


def test_linear_upsampling_lies_between_frames(elaborate: Elaborate) -> None:
    x = np.random.default_rng(0).normal(size=(1, 5, 2))
    places = np.clip((np.arange(15) + 0.5) / 3 - 0.5, 0, 4)
    expected = np.stack([np.interp(places, np.arange(5), x[0, :, c]) for c in range(2)], 1)
    np.testing.assert_allclose(run(elaborate, "up", x=x)["output"][0], expected, atol=1e-12)
