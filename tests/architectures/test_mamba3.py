"""Mamba-3's encoder against its recurrence written out in numpy, frame by frame, angles as a sum."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.ir.op import Array

from .proof import LIMIT, Proof, largest_error

pytest.importorskip("torch")
WIDTH, STATE, HEAD, MELS, FRAMES = 16, 8, 8, 8, 32
HEADS, TURNED = 2 * WIDTH // HEAD, STATE // 4
SPEC = Path(__file__).parents[2] / "spec" / "mamba3_transducer.mct"


@pytest.fixture(
    scope="module", params=[pytest.param(1, marks=pytest.mark.slow), 2], ids=["one input and output", "two of each"]
)
def proof(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Proof:
    small = {"mels": MELS, "width": WIDTH, "depth": 2, "state": STATE, "head": HEAD, "vocab": 30}
    return Proof.of(SPEC, tmp_path_factory.mktemp("mamba3"), **small, rank=request.param)


def normed(x: Array, weight: Array) -> Array:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * weight


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def block(x: Array, w: dict[str, Array]) -> Array:
    """x [T, WIDTH]. h is [heads, channels of a head, states], and of every head alone what is read and written: entry i
    of a key turns with entry TURNED + i; of several inputs and outputs, each has a key, a query and factors."""
    inner, h, rank = 2 * WIDTH, np.zeros((HEADS, HEAD, STATE)), w["key.bias"].shape[1] // HEADS
    theta, before, ys = np.zeros((HEADS, TURNED)), np.zeros((HEADS, HEAD, STATE)), []
    one = np.ones((rank, HEADS, HEAD))
    into, gate, out = (w[f"mimo_{part}"].reshape(one.shape) if rank > 1 else one for part in "xzo")

    def turn(entries: Array, part: str) -> Array:
        normal = normed(entries.reshape(rank, 1, STATE), w[f"{part}.norm"])
        k = normal + w[f"{part}.bias"].reshape(STATE, rank, HEADS).transpose(1, 2, 0)  # [rank, heads, states]
        a, b = k[..., :TURNED].copy(), k[..., TURNED : 2 * TURNED].copy()
        k[..., :TURNED], k[..., TURNED : 2 * TURNED] = (
            a * np.cos(theta) - b * np.sin(theta),
            a * np.sin(theta) + b * np.cos(theta),
        )
        return k

    sizes = [inner, inner, rank * STATE, rank * STATE, HEADS, HEADS, HEADS]
    for row in x @ w["in_proj.weight"].T:
        z, v, b, c, dt, decay, trap, angle = np.split(row, np.cumsum(sizes))
        dt = np.log1p(np.exp(dt + w["dt_bias"]))
        rate = np.where(decay >= 0, 1 + decay, 1 / (1 - np.minimum(decay, 0)))
        alpha, share = np.exp(-rate * dt), sigmoid(trap)
        theta = theta + np.pi * np.tanh(angle)[None] * dt[:, None]
        v, z = v.reshape(HEADS, HEAD) * into, z.reshape(HEADS, HEAD) * gate  # [rank, heads, channels]
        now = np.einsum("rhp,rhn->hpn", v, turn(b, "key"))
        h = alpha[:, None, None] * h + ((1 - share) * dt * alpha)[:, None, None] * before
        h, before = h + (share * dt)[:, None, None] * now, now
        y = np.einsum("hpn,rhn->rhp", h, turn(c, "query")) + w["D"][:, None] * v
        ys.append((y * z * sigmoid(z) * out).sum(0).reshape(inner) @ w["out_proj.weight"].T)
    return np.stack(ys)


def test_module_package_and_steps_are_the_recurrence(proof: Proof) -> None:
    mel = np.random.default_rng(0).normal(size=(1, FRAMES, MELS)).astype(np.float32)
    weights = {name: np.asarray(value, np.float64) for name, value in proof.weights.items()}
    x = front(proof, mel)
    for layer in range(2):
        prefix = f"encoder.layers.{layer}."
        own = {n.removeprefix(f"{prefix}mamba3."): v for n, v in weights.items() if n.startswith(f"{prefix}mamba3.")}
        x = x + block(normed(x, weights[f"{prefix}norm.weight"]), own)
    want, given = normed(x, weights["encoder.norm.weight"])[None], {"mel": mel}
    for got in (
        proof.by_torch("encoder", given),
        proof.by_package("encoder", given),
        proof.by_chunks("encoder", given, [4, 12, 8]),
    ):
        assert largest_error(got["output"], want) <= LIMIT


def front(proof: Proof, mel: Array) -> Array:
    """The convolutions in front, in torch."""
    import torch
    from torch.nn import functional as F

    w: dict[str, Any] = {n: torch.tensor(v, dtype=torch.float64) for n, v in proof.weights.items()}
    x = torch.tensor(mel, dtype=torch.float64).transpose(1, 2)[:, None]  # batch, 1, bins, frames
    for conv in ("conv1", "conv2"):
        weight = w[f"encoder.subsample.{conv}.weight"]
        x = F.conv2d(F.pad(x, (1, 1, 1, 1)), weight, w[f"encoder.subsample.{conv}.bias"], stride=2).relu()
    x = x.permute(0, 3, 1, 2).flatten(2)
    out = F.linear(x, w["encoder.subsample.proj.weight"], w["encoder.subsample.proj.bias"])
    return np.asarray(out[0])


def test_no_transpose_is_in_the_package(proof: Proof) -> None:
    assert "transpose" not in proof.ops()
