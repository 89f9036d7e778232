"""The denoiser's spec against torch's spectra, layers and overlap-add, with the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .proof import LIMIT, Proof, largest_error, under

torch = pytest.importorskip("torch")
F = torch.nn.functional
HOP, WIDTH, LOW, ORDER, FRAMES = 20, 8, 5, 3, 24
SIZE, BINS = 2 * HOP, HOP + 1
SPEC = Path(__file__).parents[2] / "spec" / "denoiser.mct"


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> Proof:
    return Proof.of(SPEC, tmp_path_factory.mktemp("denoiser"), hop=HOP, width=WIDTH, low=LOW, order=ORDER)


@pytest.fixture(scope="module")
def samples() -> Any:
    return np.random.default_rng(0).uniform(-1, 1, size=(1, FRAMES * HOP, 1)).astype(np.float32)


def independent(samples: Any, weights: Any) -> Any:
    """Columns of torch.stft; a convolution, one at half the rate, a GRU; gains, complex taps; irfft and overlap-add."""
    w = under(weights, "enhance.")
    window = torch.hann_window(SIZE) ** 0.5
    sound = F.pad(torch.tensor(samples[0, :, 0]), (HOP, 0))
    columns = torch.stft(sound, SIZE, HOP, window=window, center=False, return_complex=True).T
    loud = 0.1 * (columns.abs() ** 2 + 1e-4).log()
    x = F.conv1d(F.pad(loud.T[None], (2, 0)), w["into.weight"], w["into.bias"]).relu()
    y = F.conv1d(F.pad(x, (2, 1)), w["down.weight"], w["down.bias"], stride=2).relu()
    memory = torch.nn.GRU(WIDTH, WIDTH, batch_first=True)
    memory.load_state_dict(
        {f"{name}_l0": w[f"memory.{name}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
    )
    y = F.interpolate(memory(y.mT)[0].mT, scale_factor=2, mode="linear")
    x = (x + y)[0].T
    columns = columns * F.linear(x, w["gains.weight"], w["gains.bias"]).sigmoid()
    taps = F.linear(x, w["coefficients.weight"], w["coefficients.bias"]).tanh().reshape(FRAMES, ORDER, 2, LOW)
    low = sum(torch.complex(*taps[:, i].unbind(1)) * F.pad(columns, (0, 0, i, 0))[:FRAMES, :LOW] for i in range(ORDER))
    parts = torch.fft.irfft(torch.cat([low, columns[:, LOW:]], 1), SIZE) * window
    total = torch.zeros(FRAMES * HOP + HOP)
    for t, part in enumerate(parts):
        total[t * HOP : t * HOP + SIZE] += part
    return total[HOP:].detach().numpy()[None, :, None]


def test_module_package_and_steps_are_the_independent_model(proof: Proof, samples: Any) -> None:
    want = independent(samples, proof.weights)
    given = {"samples": samples}
    assert largest_error(proof.by_torch("enhance", given)["clean"], want) <= LIMIT
    assert largest_error(proof.by_package("enhance", given)["clean"], want) <= LIMIT
    assert largest_error(proof.by_chunks("enhance", given, [2 * HOP, 6 * HOP, 4 * HOP])["clean"], want) <= LIMIT


def test_no_transpose_is_in_the_package(proof: Proof) -> None:
    assert "transpose" not in proof.ops()
