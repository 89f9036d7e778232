"""ECAPA-TDNN's spec against the published equations in torch, with the same weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.language import elaborate_file
from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.rule import Severity
from mctc.linter.coreml.table import table
from mctc.package import read_package

from .proof import LIMIT, Proof, drawn, largest_error, parameters, under

torch = pytest.importorskip("torch")
F = torch.nn.functional

SIZES: dict[str, Any] = {"mels": 8, "width": 16, "scale": 4, "inner": 6, "pooled": 20, "embedding": 10, "seconds": 1}
MEL = np.random.default_rng(4).normal(size=(1, 100, 8)).astype(np.float16).astype(np.float32)


@pytest.fixture(scope="module")
def proof(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Proof:
    spec = root / "spec/ecapa_tdnn.mct"
    weights = drawn(elaborate_file(spec, defines=SIZES))
    return Proof.holding(weights, spec, tmp_path_factory.mktemp("ecapa"), **SIZES)


class Ecapa:
    """Over the frames of one utterance, x (1, C, T), with none to mask."""

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        self.w = under(weights, "speaker.")

    def norm(self, x: Any, name: str) -> Any:
        w = [self.w[f"{name}.{kind}"] for kind in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *w)

    @staticmethod
    def stored(weights: Mapping[str, np.ndarray]) -> Ecapa:
        """The same with norms as a package stores them: what they multiply with and what they add, in fp16."""
        made = Ecapa(weights)
        for name in [name for name in made.w if name.endswith("running_var")]:
            place = name.removesuffix("running_var")
            mean, scale, shift = (made.w[f"{place}{kind}"] for kind in ("running_mean", "weight", "bias"))
            factor = scale / (made.w[name] + 1e-5).sqrt()
            made.w[f"{place}weight"], made.w[f"{place}bias"] = (
                factor.half().float(),
                (shift - mean * factor).half().float(),
            )
            made.w[f"{place}running_mean"] = torch.zeros_like(mean)
            made.w[name] = torch.full_like(mean, 1 - 1e-5)
        return made

    def dense(self, x: Any, name: str) -> Any:
        return F.conv1d(x, self.w[f"{name}.weight"][..., None], self.w.get(f"{name}.bias"))

    def tdnn(self, x: Any, name: str, dilation: int = 1) -> Any:
        kernel = self.w[f"{name}.conv.weight"]
        reach = dilation * (kernel.shape[-1] - 1) // 2
        y = F.conv1d(x, kernel, self.w[f"{name}.conv.bias"], padding=reach, dilation=dilation)
        return self.norm(F.relu(y), f"{name}.norm")

    def res2(self, x: Any, name: str, dilation: int) -> Any:
        parts = x.chunk(SIZES["scale"], 1)
        made = [parts[0]]
        for i, part in enumerate(parts[1:]):
            made.append(self.tdnn(part if i == 0 else part + made[-1], f"{name}.layers.{i}.part", dilation))
        return torch.cat(made, 1)

    def layer(self, x: Any, name: str, dilation: int) -> Any:
        y = self.tdnn(self.res2(self.tdnn(x, f"{name}.first"), f"{name}.res2", dilation), f"{name}.last")
        squeezed = F.relu(self.dense(y.mean(2, keepdim=True), f"{name}.excite.down"))
        return x + y * torch.sigmoid(self.dense(squeezed, f"{name}.excite.up"))

    def pool(self, x: Any) -> Any:
        moments = [x.mean(2, keepdim=True), x.var(2, keepdim=True, correction=0).clamp(min=1e-4).sqrt()]
        seen = self.dense(x, "statistics.frames") + self.dense(torch.cat(moments, 1), "statistics.context")
        score = self.dense(torch.tanh(self.norm(F.relu(seen), "statistics.norm")), "statistics.score")
        weight = score.softmax(2)
        mean = (weight * x).sum(2, keepdim=True)
        return torch.cat([mean, (weight * (x - mean) ** 2).sum(2, keepdim=True).clamp(min=1e-4).sqrt()], 1)

    def __call__(self, mel: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            x = self.tdnn(torch.tensor(mel).mT, "first")
            outputs = []
            for i in range(3):
                x = self.layer(x, f"blocks.{i}.layer", i + 2)
                outputs.append(x)
            y = self.tdnn(torch.cat(outputs, 1), "aggregate")
            return np.asarray(self.dense(self.norm(self.pool(y), "norm"), "out")[..., 0])


@pytest.mark.parametrize("heard", [100, 61])
def test_the_embedding_is_that_of_the_published_equations(proof: Proof, heard: int) -> None:
    """A shorter utterance has the embedding that it has alone, whatever fills the rest of the call."""
    exists = (np.arange(100) < heard).astype(np.float32)[None, :, None]
    inputs = {"mel": MEL, "exists": exists}
    want = Ecapa(proof.weights)(MEL[:, :heard])
    assert largest_error(proof.by_torch("speaker", inputs)["embedding"], want) <= LIMIT
    got = proof.by_package("speaker", inputs)["embedding"]
    assert largest_error(got, Ecapa.stored(proof.weights)(MEL[:, :heard])) <= LIMIT / 10
    assert largest_error(got, want) <= 1e-3  # all of it is the rounding of the norms


def test_the_package_has_no_transpose_and_no_error_of_the_linter(proof: Proof) -> None:
    assert "transpose" not in proof.ops()
    (package,) = proof.built["ane"].folder.glob("*.mlpackage")
    report = check_package(read_package(package), table().rules.values())
    assert not [finding for finding in report.findings if finding.severity is Severity.ERROR]


def test_the_full_size_has_the_published_number_of_parameters(root: Path) -> None:
    """14.7 M: Desplanques et al. (2020), table 1, of 1024 channels."""
    assert parameters(elaborate_file(root / "spec/ecapa_tdnn.mct")) == pytest.approx(14.7e6, rel=0.01)
