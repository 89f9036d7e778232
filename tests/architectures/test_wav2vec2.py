"""wav2vec 2.0 and HuBERT against the transformers library's models, with its checkpoints through the maps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.audio import SampleConfig, frames_of
from mctc.importing import Checkpoint, plan, shipped_map
from mctc.language import elaborate_file
from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.rule import Severity
from mctc.linter.coreml.table import table
from mctc.package import read_package

from .proof import LIMIT, Proof, largest_error

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

SPEC = Path(__file__).parents[2] / "spec" / "wav2vec2.mct"
# Heads of 4: the scale of their scores, 1/2, is a number of fp16.
SIZES: dict[str, Any] = {
    "width": 16, "depth": 2, "heads": 4, "inner": 24, "channels": 8, "kernel": 6, "groups": 4, "vocab": 12,
    "seconds": 1,
}  # fmt: skip
HEARD = 9_001  # samples of a recording: no whole number of any stride
SOUND = np.random.default_rng(0).normal(size=HEARD).astype(np.float16).astype(np.float32)


@dataclass(frozen=True)
class Kind:
    model: str  # of the library
    map: str
    stable: bool  # the large models' layers
    options: dict[str, Any]


KINDS = [
    Kind("Wav2Vec2", "wav2vec2", False, {"feat_extract_norm": "group"}),
    Kind("Wav2Vec2", "wav2vec2", True,
         {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}),
    Kind("Hubert", "hubert", False, {"feat_extract_norm": "group"}),
]  # fmt: skip


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: f"{kind.map}-{kind.stable}")
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Proof]:
    """The library's model, with numbers that fp16 holds, and builds with its checkpoint."""
    kind, folder = request.param, tmp_path_factory.mktemp("wav2vec2")
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind.model}Config")(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24, conv_dim=(8,) * 7,
        num_conv_pos_embeddings=6, num_conv_pos_embedding_groups=4, vocab_size=12, initializer_range=0.3,
        **kind.options,
    )  # fmt: skip
    theirs = getattr(transformers, f"{kind.model}ForCTC")(config).eval()
    with torch.no_grad():
        for name, tensor in theirs.named_parameters():
            noisy = tensor + 0.1 * torch.randn_like(tensor) if tensor.ndim == 1 else tensor
            tensor.copy_(noisy.half().float() if "parametrizations" not in name else tensor)
    _round_positions(theirs)
    theirs.save_pretrained(folder / "theirs")
    sizes = {**SIZES, "normed": kind.stable, "stable": kind.stable}
    program = elaborate_file(SPEC, defines=sizes)
    planned = plan(program, Checkpoint(folder / "theirs"), shipped_map(kind.map))
    assert not planned.problems
    weights = {name: planned.value(name) for name in planned.recipes}
    return theirs, Proof.holding(weights, SPEC, folder, **sizes)


def _round_positions(theirs: Any) -> None:
    """Makes lengths of the kernel such that its weight, direction by length, is in fp16."""
    conv = theirs.base_model.encoder.pos_conv_embed.conv
    parts = conv.parametrizations.weight
    with torch.no_grad():
        direction = parts.original1.half().float()
        parts.original1.copy_(direction)
        parts.original0.copy_((direction**2).sum((0, 1), keepdim=True).sqrt())


def test_logits_are_theirs_for_a_recording_shorter_than_a_call(made: tuple[Any, Proof]) -> None:
    theirs, proof = made
    with torch.no_grad():
        want = theirs(torch.from_numpy(SOUND)[None]).logits.numpy()
    marks = (np.arange(16_000) < HEARD).astype(np.float32).reshape(1, -1, 5)
    noise = np.random.default_rng(1).normal(size=16_000 - HEARD)
    samples = np.concatenate([SOUND, noise]).astype(np.float32).reshape(1, -1, 5)
    for by in (proof.by_torch, proof.by_package):
        got = by("encoder", {"samples": samples, "exists": marks})["logits"][:, : want.shape[1]]
        assert largest_error(got, want) <= LIMIT


def test_a_recording_shorter_than_what_a_frame_sees_gives_the_frame_of_zeros_behind_it(
    made: tuple[Any, Proof],
) -> None:
    _, proof = made
    short = np.append(SOUND[:32], np.zeros(3, np.float32)).reshape(1, 7, 5)
    marks = (np.arange(35) < 32).astype(np.float32).reshape(1, 7, 5)
    padded = [np.pad(each, [(0, 0), (0, 57), (0, 0)]) for each in (short, marks)]
    alone, behind = (
        proof.by_torch("encoder", {"samples": samples, "exists": exists})["logits"]
        for samples, exists in ((short, marks), padded)
    )
    assert alone.shape == behind.shape == (1, 1, 12)
    assert np.isfinite(alone).all()
    assert largest_error(alone, behind) <= LIMIT


def test_the_package_has_no_transpose_and_no_error_of_the_linter(made: tuple[Any, Proof]) -> None:
    _, proof = made
    assert "transpose" not in proof.ops()
    (package,) = proof.built["ane"].folder.glob("*.mlpackage")
    report = check_package(read_package(package), table().rules.values())
    assert not [finding for finding in report.findings if finding.severity is Severity.ERROR]


def test_samples_are_normalised_as_the_library_does() -> None:
    theirs = transformers.Wav2Vec2FeatureExtractor()(3 * SOUND + 1, sampling_rate=16_000)["input_values"][0]
    ours = frames_of(3 * SOUND + 1, SampleConfig(16_000, 1, "recording"))[:, 0]
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
