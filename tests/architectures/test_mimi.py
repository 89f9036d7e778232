"""Mimi's spec against the transformers library's model, with its checkpoint through the map: tokens, and sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.driver import BuildOptions, build
from mctc.evaluate.reference import evaluate
from mctc.importing import Checkpoint, plan, shipped_map, write
from mctc.ir.program import Program
from mctc.language import elaborate_file
from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.rule import Severity
from mctc.linter.coreml.table import table
from mctc.package import read_package
from mctc.runtime.built import open_built

from .proof import LIMIT, Proof, largest_error

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

SPEC = Path(__file__).parents[2] / "spec" / "mimi.mct"
SIZES: dict[str, Any] = {
    "width": 16, "filters": 4, "strides": (2, 2, 2, 3), "depth": 2, "heads": 4, "inner": 24, "window": 6, "entries": 16,
    "codebook": 8, "levels": 3,
}  # fmt: skip
HOP, FRAMES = 48, 8  # twice as many frames go through the transformer, whose window has 6
SOUND = np.random.default_rng(0).normal(size=HOP * FRAMES).astype(np.float16).astype(np.float32)


@pytest.fixture(scope="module")
def theirs() -> Any:
    """The library's model, with numbers that fp16 holds, none of them as they start."""
    torch.manual_seed(0)
    config = transformers.MimiConfig(
        hidden_size=16, num_filters=4, upsampling_ratios=[3, 2, 2, 2], codebook_size=16, codebook_dim=8,
        vector_quantization_hidden_dimension=8, num_quantizers=3, upsample_groups=16, num_hidden_layers=2,
        intermediate_size=24, num_attention_heads=4, num_key_value_heads=4, head_dim=4, sliding_window=6,
        layer_scale_initial_scale=0.5, initializer_range=0.4,
    )  # fmt: skip
    model = transformers.MimiModel(config).eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("embed_sum"):
                tensor.copy_(2 * torch.randn_like(tensor).half().float())
            elif name.endswith("cluster_usage"):
                tensor.fill_(2.0)
            elif tensor.is_floating_point() and "initialized" not in name:
                tensor.copy_((tensor + 0.05 * torch.randn_like(tensor)).half().float())
    return model


@pytest.fixture(scope="module")
def imported(theirs: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Program, dict[str, np.ndarray], Path]:
    """The spec's program with the library's checkpoint, and a file of it."""
    folder = tmp_path_factory.mktemp("mimi")
    theirs.save_pretrained(folder / "theirs")
    program = elaborate_file(SPEC, defines=SIZES)
    planned = plan(program, Checkpoint(folder / "theirs"), shipped_map("mimi"))
    assert not planned.problems
    write(folder / "weights.safetensors", program, planned, {})
    return program, {name: planned.value(name) for name in planned.recipes}, folder / "weights.safetensors"


@pytest.fixture(scope="module")
def proof(imported: tuple[Program, dict[str, np.ndarray], Path]) -> Proof:
    program, weights, path = imported
    folder = path.parent
    built = {}
    for target in ("ane", "torch"):
        options = BuildOptions(target=target, defines=SIZES, weights=path, chunk=Fraction(4, 1000))
        built[target] = open_built(build(SPEC, folder / target, options).folder)
    return Proof(program, weights, path, built)


@pytest.fixture(scope="module")
def tokens(theirs: Any) -> np.ndarray:
    """Of SOUND, [1, frames, levels]."""
    with torch.no_grad():
        codes = theirs.encode(torch.from_numpy(SOUND)[None, None], num_quantizers=3).audio_codes
    return np.asarray(codes.mT.numpy(), np.float32)


@pytest.fixture(scope="module")
def sound(theirs: Any, tokens: np.ndarray) -> np.ndarray:
    """What the library makes of the tokens."""
    with torch.no_grad():
        made = theirs.decode(torch.from_numpy(tokens).long().mT).audio_values[0, 0]
    return np.asarray(made.numpy())


def test_what_the_spec_means_is_theirs(
    imported: tuple[Program, dict[str, np.ndarray], Path], tokens: np.ndarray, sound: np.ndarray
) -> None:
    program, weights, _ = imported
    encoded, _ = evaluate(program.functions["encode"], {"samples": SOUND[None, :, None]}, weights.__getitem__)
    assert (encoded["tokens"] == tokens).all()
    assert len(np.unique(tokens)) > 3
    decoded, _ = evaluate(program.functions["decode"], {"tokens": tokens}, weights.__getitem__)
    assert largest_error(decoded["samples"][0, :, 0], sound) <= LIMIT


@pytest.mark.slow
def test_tokens_are_theirs(proof: Proof, tokens: np.ndarray) -> None:
    given = {"samples": SOUND[None, :, None]}
    for by in (proof.by_torch, proof.by_package):
        assert (by("encode", given)["tokens"] == tokens).all()


@pytest.mark.slow
def test_sound_is_theirs(proof: Proof, tokens: np.ndarray, sound: np.ndarray) -> None:
    for by in (proof.by_torch, proof.by_package):
        assert largest_error(by("decode", {"tokens": tokens})["samples"][0, :, 0], sound) <= LIMIT


@pytest.mark.slow
@pytest.mark.parametrize("chunks", [[HOP], [3 * HOP, HOP, 2 * HOP]])
def test_chunks_of_any_length_give_what_the_whole_gives(proof: Proof, chunks: list[int], tokens: np.ndarray) -> None:
    got = proof.by_chunks("encode", {"samples": SOUND[None, :, None]}, chunks)["tokens"]
    assert (got == tokens).all()
    want = proof.by_reference("decode", {"tokens": tokens})["samples"]
    frames = [each // HOP for each in chunks]
    got = proof.by_chunks("decode", {"tokens": tokens}, frames, base=HOP)["samples"]
    assert largest_error(got, want) <= LIMIT


@pytest.mark.slow
def test_the_package_has_no_transpose_and_no_error_of_the_linter(proof: Proof) -> None:
    assert "transpose" not in proof.ops()
    (package,) = proof.built["ane"].folder.glob("*.mlpackage")
    report = check_package(read_package(package), table().rules.values())
    errors = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    assert {finding.rule.code for finding in errors} <= {"ANE-DT-001", "ANE-DT-002"}  # turns are in 32 bits, as asked
