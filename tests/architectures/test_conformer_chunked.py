"""The chunked Conformer's spec against its equations in torch, its chunks against the whole."""

from __future__ import annotations

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

HEADS, WITHIN, BEFORE = 2, 4, 6
SIZES: dict[str, Any] = {
    "mels": 8, "width": 12, "depth": 2, "heads": HEADS, "inner": 20, "kernel": 3, "within": WITHIN, "before": BEFORE,
    "vocab": 9,
}  # fmt: skip
MEL = np.random.default_rng(5).normal(size=(1, 96, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def proof(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Proof:
    folder = tmp_path_factory.mktemp("chunked")
    spec = folder / "small.mct"
    text = (root / "spec/conformer_chunked.mct").read_text(encoding="utf-8")
    spec.write_text(text.replace("chunk = 640 ms", "chunk = 160 ms"), encoding="utf-8")
    return Proof.of(spec, folder, **SIZES)


class Conformer:
    """Frames [T, width] of one utterance; each sees its chunk and `BEFORE` frames before that."""

    def __init__(self, proof: Proof) -> None:
        self.w = under(proof.weights, "encoder.")

    def dense(self, x: Any, name: str) -> Any:
        return F.linear(x, self.w[f"{name}.weight"], self.w.get(f"{name}.bias"))

    def norm(self, x: Any, name: str) -> Any:
        return F.layer_norm(x, x.shape[-1:], self.w[f"{name}.weight"], self.w[f"{name}.bias"])

    def half(self, x: Any, name: str, i: int) -> Any:
        return 0.5 * self.dense(
            F.silu(self.dense(self.norm(x, f"{name}.norm{i}"), f"{name}.ffn{i}.up")), f"{name}.ffn{i}.down"
        )

    def attention(self, x: Any, name: str) -> Any:
        frames, width = x.shape
        t = torch.arange(frames)
        begin = t[:, None] // WITHIN * WITHIN
        seen = (t >= begin - BEFORE) & (t < begin + WITHIN)
        angle = (t[:, None] - t)[..., None] / 10000 ** (torch.arange(0, width, 2) / width)
        r = torch.stack([angle.sin(), angle.cos()], -1).flatten(2)  # [T, S, width]
        q, k, v = (self.dense(x, f"{name}.{part}").view(frames, HEADS, -1) for part in "qkv")
        place = self.dense(r, f"{name}.place").view(frames, frames, HEADS, -1)
        content, position = (self.w[f"{name}.{part}_bias"].view(HEADS, -1) for part in ("content", "position"))
        scores = torch.einsum("thw,shw->hts", q + content, k) + torch.einsum("thw,tshw->hts", q + position, place)
        weights = (scores * q.shape[-1] ** -0.5).masked_fill(~seen, -torch.inf).softmax(-1)
        return self.dense(torch.einsum("hts,shw->thw", weights, v).flatten(1), f"{name}.out")

    def convolution(self, x: Any, name: str) -> Any:
        y = F.glu(self.dense(x, f"{name}.gated"), -1).mT
        kernel = self.w[f"{name}.depthwise.weight"]
        y = F.conv1d(F.pad(y, (kernel.shape[-1] - 1, 0)), kernel, self.w[f"{name}.depthwise.bias"], groups=len(kernel))
        told = [self.w[f"{name}.norm.{kind}"] for kind in ("running_mean", "running_var", "weight", "bias")]
        return self.dense(F.silu(F.batch_norm(y[None], *told)[0].mT), f"{name}.out")

    def layer(self, x: Any, name: str) -> Any:
        x = x + self.half(x, name, 1)
        x = x + self.attention(self.norm(x, f"{name}.self_norm"), f"{name}.self")
        x = x + self.convolution(self.norm(x, f"{name}.conv_norm"), f"{name}.conv")
        return self.norm(x + self.half(x, name, 2), f"{name}.norm")

    def subsampled(self, mel: Any) -> Any:
        """Convolutions over (mels, frames); a frame sees one before its pair and none behind."""
        y = mel.mT[None, None]
        for i in (1, 2):
            y = F.pad(y, (1, 1, 1, 1))
            y = F.relu(F.conv2d(y, self.w[f"subsample.conv{i}.weight"], self.w[f"subsample.conv{i}.bias"], stride=2))
        return self.dense(y[0].flatten(0, 1).mT, "subsample.proj")

    def __call__(self, mel: np.ndarray) -> np.ndarray:
        self.w |= {f"{name}.place.weight": w for name, w in list(self.place())}
        with torch.no_grad():
            x = self.subsampled(torch.tensor(mel[0]))
            for i in range(SIZES["depth"]):
                x = self.layer(x, f"layers.{i}.layer")
            return np.asarray(self.dense(x, "ctc").log_softmax(-1))[None]

    def place(self) -> Any:
        return ((name.removesuffix(".position"), w) for name, w in self.w.items() if name.endswith(".self.position"))


def test_log_probabilities_are_those_of_the_equations(proof: Proof) -> None:
    want = Conformer(proof)(MEL)
    for by in (proof.by_torch, proof.by_package):
        assert largest_error(by("encoder", {"mel": MEL})["log_probs"], want) <= LIMIT


def test_chunks_of_any_number_of_blocks_equal_the_whole(proof: Proof) -> None:
    whole = proof.by_reference("encoder", {"mel": MEL})["log_probs"]
    for chunks in ([16], [48, 16, 32]):
        assert largest_error(proof.by_chunks("encoder", {"mel": MEL}, chunks)["log_probs"], whole) <= 1e-9


def test_the_package_has_no_transpose_and_no_error_of_the_linter(proof: Proof) -> None:
    assert "transpose" not in proof.ops()
    (package,) = proof.built["ane"].folder.glob("*.mlpackage")
    report = check_package(read_package(package), table().rules.values())
    assert not [finding for finding in report.findings if finding.severity is Severity.ERROR]
