"""Parakeet TDT's spec against the transformers library's model, with that library's checkpoint through the map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.decode.settings import Settings
from mctc.importing import Checkpoint, plan, shipped_map
from mctc.language import elaborate_file
from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.rule import Severity
from mctc.linter.coreml.table import table
from mctc.package import read_package
from mctc.runtime.searched import recogniser
from mctc.targets.torch.engine import import_model
from mctc.weights import Weights
from tests.targets.torch.made import state_dict

from .proof import LIMIT, Proof, largest_error

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")
pytest.importorskip("transformers.models.parakeet")

SPEC = Path(__file__).parents[2] / "spec" / "parakeet_tdt.mct"
SIZES: dict[str, Any] = {
    "bins": 16, "width": 16, "depth": 1, "heads": 2, "inner": 24, "kernel": 5, "channels": 8, "cells": 12, "vocab": 20,
    "durations": 3, "seconds": 2,
}  # fmt: skip
RNG = np.random.default_rng(6)
MEL = RNG.normal(size=(1, 200, 16)).astype(np.float16).astype(np.float32)
TOKENS = np.asarray([[19, 4, 0, 7]])


@pytest.fixture(scope="module")
def theirs() -> Any:
    """The library's model, with numbers that fp16 holds, none of them as they start."""
    torch.manual_seed(0)
    encoder = {
        "num_mel_bins": 16, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 24, "conv_kernel_size": 5, "subsampling_conv_channels": 8, "attention_bias": False,
        "convolution_bias": False, "scale_input": False,
    }  # fmt: skip
    small = transformers.ParakeetTDTConfig(
        vocab_size=20, decoder_hidden_size=12, num_decoder_layers=2, durations=(0, 1, 2), hidden_act="relu",
        encoder_config=encoder, blank_token_id=19, pad_token_id=2,
    )  # fmt: skip
    model = transformers.ParakeetForTDT(small).eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if "bias_hh" in name:
                tensor.zero_()  # a sum of two biases need not be a number of fp16
            elif tensor.dtype.is_floating_point:
                noisy = tensor + 0.1 * torch.randn_like(tensor)
                tensor.copy_((noisy.abs() + 0.5 if name.endswith("running_var") else noisy).half().float())
    return model


@pytest.fixture(scope="module")
def proof(theirs: Any, tmp_path_factory: pytest.TempPathFactory) -> Proof:
    folder = tmp_path_factory.mktemp("parakeet_tdt")
    theirs.save_pretrained(folder / "theirs")
    program = elaborate_file(SPEC, defines=SIZES)
    planned = plan(program, Checkpoint(folder / "theirs"), shipped_map("parakeet_tdt"))
    assert not planned.problems
    weights = {name: planned.value(name) for name in planned.recipes}
    return Proof.holding(weights, SPEC, folder, **SIZES)


@pytest.mark.parametrize("heard", [200, 131])
def test_frames_of_the_encoder_are_theirs(heard: int, proof: Proof, theirs: Any) -> None:
    told = np.arange(200) < heard
    with torch.no_grad():
        mel = torch.from_numpy(MEL * told[None, :, None])
        want = theirs.get_audio_features(mel, attention_mask=torch.from_numpy(told)[None]).pooler_output
    frames = -(-heard // 8)
    for by in (proof.by_torch, proof.by_package):
        got = by("encoder", {"mel": MEL, "exists": told.astype(np.float32)[None]})["output"]
        assert largest_error(got[:, :frames], want[:, :frames].numpy()) <= LIMIT


def test_labels_and_what_joins_them_with_frames_are_theirs(proof: Proof, theirs: Any) -> None:
    """Tokens first, then durations."""
    enc = RNG.normal(size=(1, 25, 12)).astype(np.float32)
    with torch.no_grad():
        predicted = theirs.decoder(torch.from_numpy(TOKENS))
        frames = torch.from_numpy(enc)[:, :, None]
        want = theirs.joint(encoder_hidden_states=frames, decoder_hidden_states=predicted[:, None]).numpy()
    for by in (proof.by_torch, proof.by_package):
        pred = by("predictor", {"token": TOKENS.astype(np.int32)})["output"]
        assert largest_error(pred, predicted.numpy()) <= LIMIT
    joined = proof.by_torch("joiner", {"enc": enc, "pred": predicted.numpy()})["output"]
    assert largest_error(joined, want) <= LIMIT


def test_a_search_over_the_package_skips_the_frames_that_theirs_skips(proof: Proof, theirs: Any) -> None:
    """Parakeet's durations begin with 0, so several labels may come at one frame."""
    with torch.no_grad():
        said = theirs.generate(
            input_features=torch.from_numpy(MEL),
            attention_mask=torch.ones(1, 200),
            decoder_start_token_id=19,
            max_length=250,
        )
    want = [each for each in said.sequences[0].tolist() if each not in (19, 2)]  # blank, padding
    model = recogniser(proof.built["ane"], "fp32")
    search = model.search(Settings(max_symbols=theirs.config.max_symbols_per_step))
    encoder = model.stream()
    search.accept(np.concatenate([encoder.push(MEL[0]), encoder.finish()]))
    (found,) = search.finish()
    assert [each for each in found.ids if each != 2] == want
    assert len(set(want)) > 1


def test_the_loss_of_the_training_module_is_theirs(proof: Proof, theirs: Any) -> None:
    module = import_model(proof.built["torch"].folder / "training" / "parakeet_tdt.py")
    weights = Weights.load(proof.program, proof.checkpoint, cache=True)
    module.load_state_dict(state_dict(proof.program, weights, module))
    labels = torch.tensor([[4, 0, 7, 5]])
    with torch.no_grad():
        mel, every = torch.from_numpy(MEL), torch.ones(1, 200)
        told = {"decoder_input_ids": torch.tensor([[19, 4, 0, 7, 5]]), "labels": labels}
        want = theirs(mel, attention_mask=every, **told, sigma=0.02, reduction="sum").loss
        got = module.eval()(mel, torch.tensor([200]), labels, torch.tensor([4]), every)
    assert float(got) == pytest.approx(float(want), rel=LIMIT)


def test_the_package_has_no_transpose_and_no_error_of_the_linter(proof: Proof) -> None:
    assert "transpose" not in proof.ops()
    (package,) = proof.built["ane"].folder.glob("*.mlpackage")
    report = check_package(read_package(package), table().rules.values())
    assert not [finding for finding in report.findings if finding.severity is Severity.ERROR]
