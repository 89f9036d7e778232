"""The Emformer's spec against the paper's recursion, segment by segment; chunks against the whole."""

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

HEADS, SEGMENT, RIGHT, LEFT, MEMORIES = 2, 4, 2, 6, 3
SIZES: dict[str, Any] = {
    "mels": 8, "width": 12, "depth": 2, "heads": HEADS, "inner": 20, "segment": SEGMENT, "right": RIGHT, "left": LEFT,
    "memories": MEMORIES, "vocab": 9,
}  # fmt: skip
MEL = np.random.default_rng(5).normal(size=(1, 112, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def proof(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Proof:
    folder = tmp_path_factory.mktemp("emformer")
    spec = folder / "small.mct"
    text = (root / "spec/emformer.mct").read_text(encoding="utf-8")
    spec.write_text(text.replace("chunk = 640 ms", "chunk = 160 ms"), encoding="utf-8")
    return Proof.of(spec, folder, **SIZES)


class Emformer:
    """As Shi et al. (2021), section 2.3, have it: what a segment sees is gathered for it."""

    def __init__(self, proof: Proof) -> None:
        self.w = under(proof.weights, "encoder.")

    def dense(self, x: Any, name: str) -> Any:
        return F.linear(x, self.w[f"{name}.weight"], self.w.get(f"{name}.bias"))

    def norm(self, x: Any, name: str) -> Any:
        return F.layer_norm(x, x.shape[-1:], self.w[f"{name}.weight"], self.w[f"{name}.bias"])

    def attention(self, queries: Any, seen: Any, name: str) -> Any:
        q, (k, v) = self.dense(queries, f"{name}.q"), self.dense(seen, f"{name}.keys_values").chunk(2, -1)
        q, k, v = (x.view(len(x), HEADS, -1).transpose(0, 1) for x in (q, k, v))
        y = (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1) @ v
        return self.dense(y.transpose(0, 1).flatten(1), f"{name}.out")

    def fed(self, x: Any, y: Any, name: str) -> Any:
        x = x + y
        x = x + self.dense(F.relu(self.dense(self.norm(x, f"{name}.ffn_norm"), f"{name}.up")), f"{name}.down")
        return self.norm(x, f"{name}.out_norm")

    def layer(self, segments: list[Any], copies: list[Any], memory: list[Any], name: str) -> Any:
        """Frames, copies of those behind, and the memory vector of each segment behind the layer."""
        normed = [self.norm(x, f"{name}.norm") for x in segments]
        normed_copies = [self.norm(x, f"{name}.norm") for x in copies]
        out: list[list[Any]] = [[], [], []]
        for i, (segment, copy) in enumerate(zip(normed, normed_copies)):
            left = torch.cat([segment[:0], *normed[:i]])[-LEFT:]
            frames = torch.cat([left, segment, copy])
            seen = torch.cat([*memory[max(0, i - MEMORIES) : i], frames])
            y = self.attention(torch.cat([segment, copy]), seen, name)
            made = self.fed(torch.cat([segments[i], copies[i]]), y, name)
            summary = self.attention(segment.mean(0, keepdim=True), frames, name)
            for kept, value in zip(out, (made[:SEGMENT], made[SEGMENT:], summary.tanh())):
                kept.append(value)
        return out

    def __call__(self, mel: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            x = self.dense(torch.tensor(mel[0]).reshape(-1, 4 * mel.shape[-1]), "front")
            segments = list(x.split(SEGMENT))
            padded = F.pad(x, (0, 0, 0, SEGMENT))
            copies = [padded[(i + 1) * SEGMENT :][:RIGHT] for i in range(len(segments))]
            memory = [segment.mean(0, keepdim=True) for segment in segments]
            for i in range(SIZES["depth"]):
                segments, copies, memory = self.layer(segments, copies, memory, f"layers.{i}.layer")
            y = self.norm(torch.cat(segments), "norm")
            return np.asarray(self.dense(y, "ctc").log_softmax(-1))[None]


def test_log_probabilities_are_those_of_the_recursion(proof: Proof) -> None:
    want = Emformer(proof)(MEL)
    for by in (proof.by_torch, proof.by_package):
        assert largest_error(by("encoder", {"mel": MEL})["log_probs"], want) <= LIMIT


def test_chunks_of_any_number_of_segments_equal_the_whole(proof: Proof) -> None:
    whole = proof.by_reference("encoder", {"mel": MEL})["log_probs"]
    for chunks in ([16], [48, 16, 32]):
        assert largest_error(proof.by_chunks("encoder", {"mel": MEL}, chunks)["log_probs"], whole) <= 1e-9


def test_the_package_has_no_transpose_and_no_error_of_the_linter(proof: Proof) -> None:
    assert "transpose" not in proof.ops()
    (package,) = proof.built["ane"].folder.glob("*.mlpackage")
    report = check_package(read_package(package), table().rules.values())
    assert not [finding for finding in report.findings if finding.severity is Severity.ERROR]
