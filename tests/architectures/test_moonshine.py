"""Moonshine's spec against the transformers library's, with that library's own checkpoint through the name map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.driver import BuildOptions, BuildResult, build
from mctc.importing import Checkpoint, plan, shipped_map, write
from mctc.ir.types import DType
from mctc.language import elaborate_file
from mctc.numerics.difference import relative_error
from mctc.runtime.built import open_built
from mctc.runtime.step import Packages

from .proof import LIMIT

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

SPEC, TINY = Path(__file__).parents[2] / "spec" / "moonshine_tiny.mct", "moonshine_tiny"
# Heads of 16: the scale of their scores, 1/4, is a number of fp16, as 1/6 of the full size is not.
SIZES = {"width": 32, "depth": 2, "heads": 2, "inner": 48, "turned": 14, "vocab": 99, "frames": 24, "labels": 12}
SAMPLES = 24 * 384  # of a call
HEARD = 5_703  # of a recording: no whole number of any stride
RNG = np.random.default_rng(0)
SOUND = RNG.normal(scale=0.1, size=HEARD).astype(np.float16).astype(np.float32)
TOKENS = RNG.integers(0, 99, 10)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """The library's model, with numbers that fp16 holds, and the folder that it saved itself to."""
    torch.manual_seed(0)
    sides = [f"{side}_num_{what}" for side in ("encoder", "decoder") for what in ("hidden_layers", "attention_heads")]
    sizes = {"vocab_size": 99, "hidden_size": 32, "intermediate_size": 48, "max_position_embeddings": 12}
    config = transformers.MoonshineConfig(**sizes, **dict.fromkeys(sides, 2), initializer_range=0.2)
    model = transformers.MoonshineForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            noise = 0.1 * torch.randn_like(parameter) if parameter.ndim == 1 else 0.0
            parameter.copy_((parameter + noise).half().float())
    folder = tmp_path_factory.mktemp("moonshine")
    model.save_pretrained(folder)
    return model, folder


@pytest.fixture(scope="module")
def weights(theirs: tuple[Any, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = elaborate_file(SPEC, model=TINY, defines=SIZES)
    planned = plan(program, Checkpoint(theirs[1]), shipped_map("moonshine"))
    assert not planned.problems
    path = tmp_path_factory.mktemp("imported") / "weights.safetensors"
    write(path, program, planned, {})
    return path


@pytest.fixture(scope="module", params=["ane", "torch"])
def made(request: pytest.FixtureRequest, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> BuildResult:
    options = BuildOptions(target=request.param, model=TINY, defines=SIZES, weights=weights)
    return build(SPEC, tmp_path_factory.mktemp("built") / "out", options)


@pytest.fixture(scope="module")
def packages(made: BuildResult, weights: Path) -> Packages:
    built = open_built(made.folder)
    return Packages(built, "fp32", lambda program: built.values(program, weights))


@pytest.fixture(scope="module")
def encoded(packages: Packages) -> dict[str, np.ndarray]:
    """What the encoder makes of SOUND and of noise behind it, which does not exist."""
    behind = RNG.normal(size=SAMPLES - HEARD)
    marks = np.arange(SAMPLES) < HEARD
    given = {"samples": np.concatenate([SOUND, behind]), "exists": marks}
    return once(packages, "encoder", {key: framed(array) for key, array in given.items()})


def framed(samples: np.ndarray) -> np.ndarray:
    """Samples as (batch, sample of a frame, 1, frame)."""
    return samples.reshape(1, -1, 64).transpose(0, 2, 1)[:, :, None].astype(np.float32)


def once(packages: Packages, name: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A function over the whole utterance: the one that a build calls, or the forward of a training module."""
    return packages.whole(name)(inputs) if name in packages.built.whole else packages.step(name)(inputs)


@pytest.fixture
def rounded(theirs: tuple[Any, Path], made: BuildResult, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cosines and sines as the package stores them: in fp16, as all weights are."""
    if made.manifest["target"] == "ane":
        for side in (theirs[0].model.encoder, theirs[0].model.decoder):
            exact = side.rotary_emb.forward
            monkeypatch.setattr(
                side.rotary_emb, "forward", lambda *given, exact=exact, **more: half(exact(*given, **more))
            )


def half(tables: tuple[Any, Any]) -> tuple[Any, ...]:
    return tuple(table.half().float() for table in tables)


@pytest.mark.quick("ane")
@pytest.mark.usefixtures("rounded")
def test_the_encoder_is_theirs(theirs: tuple[Any, Path], encoded: dict[str, np.ndarray]) -> None:
    with torch.no_grad():
        want = theirs[0].model.encoder(torch.from_numpy(SOUND[None])).last_hidden_state.numpy()[0]
    assert encoded["heard"].ravel().tolist() == [1.0] * len(want) + [0.0] * (24 - len(want))
    assert relative_error(want, encoded["memory"][0, :, 0, : len(want)].T) <= LIMIT


@pytest.mark.quick("ane")
@pytest.mark.usefixtures("rounded")
def test_logits_label_by_label_are_theirs(
    theirs: tuple[Any, Path], packages: Packages, encoded: dict[str, np.ndarray]
) -> None:
    call = packages.step("decoder")
    memory = once(packages, "cross", {"memory": encoded["memory"]})
    memory |= {"heard": encoded["heard"], "valid": np.ones(1, np.float32)}
    got = []
    for place, token in enumerate(TOKENS):
        ids = {"token": token, "position": place}
        given = {
            port.spec: memory[port.spec] if port.spec in memory else np.full((1, 1, 1, 1), ids[port.spec], kind(port))
            for port in call.function.inputs
        }
        got.append(np.asarray(call(given)["output"])[0, :99, 0, 0])
    with torch.no_grad():
        given = {"input_values": torch.from_numpy(SOUND[None]), "decoder_input_ids": torch.from_numpy(TOKENS[None])}
        want = theirs[0](**given).logits[0].numpy()
    assert relative_error(want, np.array(got)) <= LIMIT


def kind(port: Any) -> type:
    """What a port takes in the program: ids where its package takes rows."""
    return np.int32 if port.type.dtype is DType.I32 or port.table is not None else np.float32


@pytest.mark.parametrize("made", ["ane"], indirect=True)
def test_the_package_has_no_transpose(made: BuildResult) -> None:
    """And no error of `mctc lint`: a build stops at one."""
    ops = {op.name for function in made.compiled.deployed.functions.values() for op in function.ops}
    assert ops
    assert not ops & {"transpose", "positional_embedding"}


@pytest.mark.parametrize(("model", "width", "depth", "inner"), [(TINY, 288, 6, 1152), ("moonshine_base", 416, 8, 1664)])
def test_the_full_size_has_as_many_parameters_as_theirs(model: str, width: int, depth: int, inner: int) -> None:
    """Sizes of Jeffries et al. (2024), who say 27 M and 61 M."""
    layers = {f"{side}_num_hidden_layers": depth for side in ("encoder", "decoder")}
    with torch.device("meta"):
        full = transformers.MoonshineForConditionalGeneration(
            transformers.MoonshineConfig(hidden_size=width, intermediate_size=inner, **layers)
        )
    ours = sum(type_.size for type_, _ in elaborate_file(SPEC, model=model).sources.values())
    assert ours == sum(parameter.numel() for parameter in full.parameters())
