"""A U-Net whose depth is a number of its header, as the language's page writes it, against plain torch."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .proof import LIMIT, Proof, largest_error, under

torch = pytest.importorskip("torch")
F = torch.nn.functional

LEVELS = 3
X = np.random.default_rng(2).normal(size=(1, 48, 16)).astype(np.float32)


@pytest.fixture(scope="module")
def proof(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Proof:
    folder = tmp_path_factory.mktemp("unet")
    page = (root / "docs/language.md").read_text(encoding="utf-8")
    (text,) = (each for each in re.findall(r"```mct\n(.*?)```", page, re.DOTALL) if "model u_net" in each)
    (folder / "unet.mct").write_text(text, encoding="utf-8")
    return Proof.of(folder / "unet.mct", folder, levels=LEVELS)


def by_hand(w: dict[str, Any], x: Any) -> Any:
    """Channels before frames. Down, a frame sees one before its pair and one behind; up, torch's padding is 1."""
    y, skips = F.conv1d(x, w["into.weight"][..., None], w["into.bias"]), []
    for i in range(LEVELS):
        skips.append(y)
        name = f"down.layers.{i}.conv"
        y = F.conv1d(F.pad(y, (1, 2)), w[f"{name}.weight"], w[f"{name}.bias"], stride=2).relu()
    for i in range(LEVELS):
        name = f"up.layers.{i}"
        y = F.conv_transpose1d(y, w[f"{name}.conv.weight"], w[f"{name}.conv.bias"], stride=2, padding=1)
        y = torch.cat([y, skips[-1 - i]], 1)
        y = F.conv1d(y, w[f"{name}.joint.weight"][..., None], w[f"{name}.joint.bias"]).relu()
    return F.conv1d(y, w["mask.weight"][..., None], w["mask.bias"]).sigmoid() * x


def test_module_and_package_are_the_equations(proof: Proof) -> None:
    want = by_hand(under(proof.weights, "denoise."), torch.tensor(X).mT).mT.numpy()
    assert largest_error(proof.by_torch("denoise", {"x": X})["output"], want) <= LIMIT
    assert largest_error(proof.by_package("denoise", {"x": X})["output"], want) <= LIMIT


def test_chunks_equal_the_whole(proof: Proof) -> None:
    whole = proof.by_reference("denoise", {"x": X})["output"]
    for chunks in ([8], [24, 8, 16]):
        assert largest_error(proof.by_chunks("denoise", {"x": X}, chunks)["output"], whole) <= 1e-9
