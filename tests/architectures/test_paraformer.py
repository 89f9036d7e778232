"""Paraformer's encoder against the equations of SAN-M in torch."""

from __future__ import annotations

from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.rule import Severity
from mctc.linter.coreml.table import table
from mctc.package import read_package

from .proof import LIMIT, Proof, largest_error, under

torch = pytest.importorskip("torch")
F = torch.nn.functional

HEADS = 2
SIZES: dict[str, Any] = {"mels": 8, "width": 16, "depth": 3, "heads": HEADS, "inner": 24, "kernel": 5, "vocab": 10}
MEL = np.random.default_rng(5).normal(size=(1, 600, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def proof(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Proof:
    return Proof.of(root / "spec/paraformer.mct", tmp_path_factory.mktemp("paraformer"), **SIZES)


def stacked(mel: Any) -> Any:
    """Frame i is frames 6 i - 3 to 6 i + 3, the first one in place of those before it."""
    return torch.stack([torch.cat([mel[max(0, 6 * i + j)] for j in range(-3, 4)]) for i in range(len(mel) // 6)])


def places(count: int, width: int) -> Any:
    rates = torch.exp(torch.arange(width // 2) * -(log(10000.0) / (width // 2 - 1)))
    angles = torch.arange(1, count + 1)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)


class Encoder:
    def __init__(self, proof: Proof) -> None:
        self.w = under(proof.weights, "encoder.")

    def dense(self, x: Any, name: str) -> Any:
        return F.linear(x, self.w[f"{name}.weight"], self.w[f"{name}.bias"])

    def norm(self, x: Any, name: str) -> Any:
        return F.layer_norm(x, x.shape[-1:], self.w[f"{name}.weight"], self.w[f"{name}.bias"], 1e-12)

    def attention(self, x: Any, name: str) -> Any:
        q, k, v = self.dense(x, f"{name}.linear_q_k_v").chunk(3, -1)
        kernel = self.w[f"{name}.fsmn_block.weight"]
        memory = F.conv1d(v.mT, kernel, padding=kernel.shape[-1] // 2, groups=len(kernel)).mT + v
        q, k, v = (each.view(len(x), HEADS, -1).transpose(0, 1) for each in (q, k, v))
        y = (q * q.shape[-1] ** -0.5 @ k.mT).softmax(-1) @ v
        return self.dense(y.transpose(0, 1).flatten(1), f"{name}.linear_out") + memory

    def layer(self, x: Any, name: str) -> Any:
        y = self.attention(self.norm(x, f"{name}.norm1"), f"{name}.self_attn")
        y = y + x if x.shape == y.shape else y
        return y + self.dense(F.relu(self.dense(self.norm(y, f"{name}.norm2"), f"{name}.w_1")), f"{name}.w_2")

    def __call__(self, mel: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            x = stacked(torch.tensor(mel[0])) * SIZES["width"] ** 0.5
            x = self.layer(x + places(*x.shape), "encoders0")
            for i in range(SIZES["depth"] - 1):
                x = self.layer(x, f"encoders.{i}.layer")
            return np.asarray(self.dense(self.norm(x, "after_norm"), "ctc_lo"))[None]


def test_logits_are_those_of_the_equations(proof: Proof) -> None:
    want = Encoder(proof)(MEL)
    for by in (proof.by_torch, proof.by_package):
        assert largest_error(by("encoder", {"mel": MEL})["logits"], want) <= LIMIT


def test_the_package_has_no_transpose_and_no_error_of_the_linter(proof: Proof) -> None:
    assert "transpose" not in proof.ops()
    (package,) = proof.built["ane"].folder.glob("*.mlpackage")
    report = check_package(read_package(package), table().rules.values())
    assert not [finding for finding in report.findings if finding.severity is Severity.ERROR]
