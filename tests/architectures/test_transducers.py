"""The transducers: state-space encoders against transformers' mixers, LSTMs against torch's, in whole and in chunks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.language import elaborate_file

from .proof import LIMIT, Proof, largest_error, parameters, under

torch = pytest.importorskip("torch")
F = torch.nn.functional
SMALL: dict[str, Any] = {"width": 32, "depth": 2, "vocab": 30, "mels": 16}
FRAMES = 64
Weights = Mapping[str, Any]


def subsample(mel: Any, w: Weights) -> Any:
    """Two 3x3 convolutions of stride 2 over (feature, time) as torch has them, then the projection."""
    x = mel.mT.unsqueeze(1)
    for layer in ("conv1", "conv2"):
        x = F.conv2d(x, w[f"{layer}.weight"], w[f"{layer}.bias"], stride=2, padding=1).relu()
    return F.linear(x.flatten(1, 2).mT, w["proj.weight"], w["proj.bias"])


def layer_norm(x: Any, w: Weights) -> Any:
    return F.layer_norm(x, x.shape[-1:], w["weight"], w["bias"])


def lstm(x: Any, w: Weights) -> Any:
    """torch.nn.LSTM, whose second bias is zero."""
    layer = torch.nn.LSTM(x.shape[-1], w["weight_hh"].shape[1], batch_first=True)
    names = {"weight_ih": "weight_ih_l0", "weight_hh": "weight_hh_l0", "bias": "bias_ih_l0"}
    state = {names[name]: value for name, value in w.items()} | {"bias_hh_l0": torch.zeros_like(w["bias"])}
    layer.load_state_dict(state)
    return layer(x)[0]


def mamba_encoder(mel: Any, w: Weights) -> Any:
    """transformers' MambaMixer behind layer norms."""
    models = pytest.importorskip("transformers.models.mamba.modeling_mamba")
    config = models.MambaConfig(hidden_size=SMALL["width"], state_size=16, num_hidden_layers=2)
    x = subsample(mel, under(w, "encoder.subsample."))
    for i in range(2):
        mixer = models.MambaMixer(config, i).eval()
        mixer.load_state_dict(under(w, f"encoder.layers.{i}.mamba.", conv="conv1d"))
        x = x + mixer(layer_norm(x, under(w, f"encoder.layers.{i}.norm.")))
    return layer_norm(x, under(w, "encoder.norm."))


def mamba2_encoder(mel: Any, w: Weights) -> Any:
    """transformers' Mamba2Mixer behind RMS norms."""
    models = pytest.importorskip("transformers.models.mamba2.modeling_mamba2")
    sizes = {"state_size": 8, "num_heads": 4, "head_dim": 16, "n_groups": 1, "chunk_size": 4}
    config = models.Mamba2Config(hidden_size=SMALL["width"], num_hidden_layers=2, **sizes)
    x = subsample(mel, under(w, "encoder.subsample."))
    for i in range(2):
        mixer = models.Mamba2Mixer(config, i).eval()
        mixer.load_state_dict(under(w, f"encoder.layers.{i}.mamba2.", conv="conv1d"))
        x = x + mixer(F.rms_norm(x, x.shape[-1:], under(w, f"encoder.layers.{i}.norm.")["weight"], 1e-5))
    return F.rms_norm(x, x.shape[-1:], under(w, "encoder.norm.")["weight"], 1e-5)


def stack(x: Any, w: Weights, prefix: str, layers: int) -> Any:
    for i in range(layers):
        x = lstm(layer_norm(x, under(w, f"{prefix}.layers.{i}.norm.")), under(w, f"{prefix}.layers.{i}.lstm."))
    return x


def lstm_encoder(mel: Any, w: Weights) -> Any:
    x = subsample(mel, under(w, "encoder.subsample."))
    return layer_norm(stack(x, w, "encoder.stack", 2), under(w, "encoder.norm."))


def one_lstm(token: Any, w: Weights) -> Any:
    return lstm(under(w, "predictor.")["embedding.weight"][token], under(w, "predictor.lstm."))


def lstm_stack(token: Any, w: Weights) -> Any:
    return stack(under(w, "predictor.")["embedding.weight"][token], w, "predictor.stack", 2)


def joiner(enc: Any, pred: Any, w: Weights) -> Any:
    own = under(w, "joiner.")
    left, right = (
        F.linear(x, own[f"{n}.weight"], own[f"{n}.bias"]) for x, n in ((enc, "enc_proj"), (pred, "pred_proj"))
    )
    return F.linear((left[:, :, None] + right[:, None]).tanh(), own["out.weight"], own["out.bias"])


SPECS: dict[str, tuple[dict[str, Any], Callable[..., Any], Callable[..., Any]]] = {
    "mct_small": ({}, mamba_encoder, one_lstm),
    "mct2_small": ({"head": 16, "state": 8}, mamba2_encoder, one_lstm),
    "rnnt_lstm": ({}, lstm_encoder, lstm_stack),
}


@pytest.fixture(scope="module", params=SPECS)
def case(request: Any, root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Proof]:
    more = SPECS[request.param][0]
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, Proof.of(root / f"spec/{request.param}.mct", folder, **SMALL, **more)


def frames() -> Any:
    return np.random.default_rng(2).normal(size=(1, FRAMES, SMALL["mels"])).astype(np.float32)


@pytest.mark.quick("mct_small")
def test_the_encoder_is_the_independent_one(case: tuple[str, Proof]) -> None:
    name, proof = case
    with torch.no_grad():
        want = SPECS[name][1](torch.tensor(frames()), proof.weights).numpy()
    for by in (proof.by_torch, proof.by_package):
        assert largest_error(by("encoder", {"mel": frames()})["output"], want) < LIMIT


def test_the_predictor_is_the_independent_one(case: tuple[str, Proof]) -> None:
    name, proof = case
    tokens = np.random.default_rng(3).integers(0, SMALL["vocab"] + 1, (1, 6))
    with torch.no_grad():
        want = SPECS[name][2](torch.tensor(tokens), proof.weights).numpy()
    for by in (proof.by_torch, proof.by_package):
        assert largest_error(by("predictor", {"token": tokens})["output"], want) < LIMIT


def test_the_joiner_is_the_independent_one(case: tuple[str, Proof]) -> None:
    _, proof = case
    rng = np.random.default_rng(4)
    enc, pred = (rng.normal(size=(1, n, SMALL["width"])).astype(np.float32) for n in (FRAMES // 4, 1))
    with torch.no_grad():
        want = joiner(torch.tensor(enc), torch.tensor(pred), proof.weights).numpy()
    for by in (proof.by_torch, proof.by_package):
        assert largest_error(by("joiner", {"enc": enc, "pred": pred})["output"], want) < LIMIT


@pytest.mark.quick("mct_small")
def test_any_chunking_of_the_encoder_is_the_whole(case: tuple[str, Proof]) -> None:
    _, proof = case
    whole = proof.by_reference("encoder", {"mel": frames()})["output"]
    for chunks in ([4], [8, 4, 20, 4], [64]):
        assert largest_error(proof.by_chunks("encoder", {"mel": frames()}, chunks)["output"], whole) < LIMIT


def test_no_step_transposes(case: tuple[str, Proof]) -> None:
    assert case[1].ops().isdisjoint({"transpose"})


@pytest.mark.parametrize(
    ("spec", "millions"), [("mct_base", 31.0), ("mct_large", 98.2), ("mct2_small", 5.0), ("rnnt_lstm", 25.9)]
)
def test_has_as_many_parameters_as_its_description_says(root: Path, spec: str, millions: float) -> None:
    assert parameters(elaborate_file(root / f"spec/{spec}.mct")) == pytest.approx(millions * 1e6, rel=0.01)
