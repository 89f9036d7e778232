"""Parakeet's spec against the transformers library's FastConformer, with that library's checkpoint through the map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.driver import BuildOptions, build
from mctc.importing import Checkpoint, plan, shipped_map, write
from mctc.language import elaborate_file
from mctc.numerics.difference import relative_error
from mctc.runtime.built import open_built
from mctc.runtime.step import Packages

from .proof import LIMIT

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")
pytest.importorskip("transformers.models.parakeet")

SPEC = Path(__file__).parents[2] / "spec" / "parakeet_ctc.mct"
SIZES = {"bins": 16, "width": 16, "depth": 2, "heads": 2, "inner": 24, "kernel": 5, "channels": 8, "vocab": 20}
FRAMES, HEARD = 200, (200, 131)  # of a call; of recordings, of which one ends within a stride
FEATURES = np.random.default_rng(3).normal(size=(1, FRAMES, 16)).astype(np.float16).astype(np.float32)


def config(**sizes: int) -> Any:
    encoder = {"scale_input": True, "attention_bias": True, "convolution_bias": True, **sizes}
    return transformers.ParakeetCTCConfig(vocab_size=encoder.pop("vocab_size"), encoder_config=encoder, pad_token_id=0)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """The library's model, with numbers that fp16 holds, none of them as they start, and its folder."""
    torch.manual_seed(0)
    small = config(
        num_mel_bins=16, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        conv_kernel_size=5, subsampling_conv_channels=8, vocab_size=20,
    )  # fmt: skip
    model = transformers.ParakeetForCTC(small).eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.dtype.is_floating_point:
                noisy = tensor + 0.1 * torch.randn_like(tensor)
                tensor.copy_((noisy.abs() + 0.5 if name.endswith("running_var") else noisy).half().float())
    folder = tmp_path_factory.mktemp("parakeet")
    model.save_pretrained(folder)
    return model, folder


@pytest.fixture(scope="module")
def weights(theirs: tuple[Any, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = elaborate_file(SPEC, model="parakeet_ctc_0_6b", defines=SIZES)
    planned = plan(program, Checkpoint(theirs[1]), shipped_map("parakeet_ctc"))
    assert not planned.problems
    path = tmp_path_factory.mktemp("imported") / "weights.safetensors"
    write(path, program, planned, {})
    return path


def wanted(model: Any, frames: int) -> np.ndarray:
    """Log-probabilities [frames, vocabulary] of the library's model for a recording that has so many frames."""
    told = torch.arange(FRAMES)[None] < frames
    with torch.no_grad():
        logits = model(input_features=torch.from_numpy(FEATURES) * told[..., None], attention_mask=told).logits
    return np.asarray(logits[0, : -(-frames // 8)].log_softmax(-1).numpy())


@pytest.mark.parametrize("target", ["ane", "torch"])
def test_log_probabilities_are_theirs(
    target: str, weights: Path, theirs: tuple[Any, Path], tmp_path: Path
) -> None:  # fmt: skip
    defines = {**SIZES, "seconds": FRAMES // 100}
    options = BuildOptions(
        target=target, model="parakeet_ctc_0_6b", defines=defines, weights=weights, without=("annotate-quantization",)
    )
    built = open_built(build(SPEC, tmp_path / "out", options).folder)
    packages = Packages(built, "fp32", lambda program: built.values(program, weights))
    for frames in HEARD:
        exists = (np.arange(FRAMES) < frames).astype(np.float32)[None, None, None]
        given = {"mel": FEATURES.transpose(0, 2, 1)[:, :, None], "exists": exists}
        if target == "ane":
            got = packages.step("encoder")(given)["log_probs"]
        else:
            whole = built.whole["encoder"]
            got = whole.opened(packages.engine(whole.package))(given)["log_probs"]
        want = wanted(theirs[0], frames)
        assert relative_error(want, np.asarray(got)[0, :20, 0, : len(want)].T) <= LIMIT


@pytest.mark.parametrize(("model", "depth"), [("parakeet_ctc_0_6b", 24), ("parakeet_ctc_1_1b", 42)])
def test_full_sizes_have_as_many_parameters_as_theirs(model: str, depth: int) -> None:
    with torch.device("meta"):
        full = transformers.ParakeetForCTC(config(num_hidden_layers=depth, vocab_size=1025))
    statistics = sum(b.numel() for name, b in full.named_buffers() if "running" in name)
    ours = sum(type_.size for type_, _ in elaborate_file(SPEC, model=model).sources.values())
    assert ours == sum(p.numel() for p in full.parameters()) + statistics
