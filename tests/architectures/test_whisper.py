"""Whisper's spec against the transformers library's, with that library's own checkpoint through the name map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.decode.frames import DecodeError
from mctc.decode.label_beam import LabelSettings, label_beam
from mctc.driver import BuildOptions, BuildResult, build
from mctc.importing import Checkpoint, plan, shipped_map, write
from mctc.ir.types import DType
from mctc.language import elaborate_file
from mctc.numerics.difference import relative_error
from mctc.runtime.built import BuiltPort, open_built
from mctc.runtime.encoder_decoder import EncoderDecoder
from mctc.runtime.step import Packages, Step

from .proof import LIMIT

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

SPEC = Path(__file__).parents[2] / "spec"
SIZES = {"mels": 80, "width": 16, "depth": 2, "heads": 2, "vocab": 99, "frames": 32, "labels": 12}
RNG = np.random.default_rng(0)
MEL = RNG.normal(size=(1, 80, 64)).astype(np.float16).astype(np.float32)
TOKENS = RNG.integers(0, 99, 10)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """The library's model, with numbers that fp16 holds, and the folder that it saved itself to."""
    torch.manual_seed(0)
    widths = {"d_model": 16, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "num_mel_bins": 80, "vocab_size": 99}
    depths = {f"{side}_{what}": 2 for side in ("encoder", "decoder") for what in ("layers", "attention_heads")}
    lengths = {"max_source_positions": 32, "max_target_positions": 12}
    tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    config = transformers.WhisperConfig(**widths, **depths, **lengths, **tokens, init_std=0.2)
    model = transformers.WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            noise = 0.1 * torch.randn_like(parameter) if parameter.ndim == 1 else 0.0
            parameter.copy_((parameter + noise).half().float())
    folder = tmp_path_factory.mktemp("whisper")
    model.save_pretrained(folder)
    return model, folder


@pytest.fixture(scope="module")
def weights(theirs: tuple[Any, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = elaborate_file(SPEC / "whisper_tiny.mct", defines=SIZES)
    planned = plan(program, Checkpoint(theirs[1]), shipped_map("whisper"))
    assert not planned.problems
    path = tmp_path_factory.mktemp("imported") / "weights.safetensors"
    write(path, program, planned, {})
    return path


@pytest.fixture(scope="module", params=["ane", "torch"])
def made(request: pytest.FixtureRequest, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> BuildResult:
    options = BuildOptions(target=request.param, defines=SIZES, weights=weights)
    return build(SPEC / "whisper_tiny.mct", tmp_path_factory.mktemp("built") / "out", options)


@pytest.fixture(scope="module")
def packages(made: BuildResult, weights: Path) -> Packages:
    built = open_built(made.folder)
    return Packages(built, "fp32", lambda program: built.values(program, weights))


@pytest.fixture(scope="module")
def memory(packages: Packages) -> dict[str, np.ndarray]:
    """Keys and values of what the encoder makes of MEL."""
    return once(packages, "cross", {"memory": encoded(packages)})


def encoded(packages: Packages) -> np.ndarray:
    return once(packages, "encoder", {"mel": MEL[:, :, None]})["output"]


def once(packages: Packages, name: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A function over the whole utterance: the one that a build calls, or the forward of a training module."""
    if name not in packages.built.whole:
        return packages.step(name)(inputs)
    function = packages.built.whole[name]
    results = packages.engine(function.package).function(function.stored_as)(inputs)
    return {spec: results[stored] for spec, stored in function.outputs.items()}


def step(call: Step, memory: dict[str, np.ndarray], first: int, count: int) -> np.ndarray:
    """Logits [labels, vocabulary] of the next tokens."""
    ids = np.arange(first, first + count).reshape(1, 1, 1, -1)
    given = {"token": TOKENS[ids], "position": ids, "valid": np.ones(count), **memory}
    inputs = {port.spec: np.asarray(given[port.spec], _kind(port)) for port in call.function.inputs}
    return np.asarray(call(inputs)["output"][0, : SIZES["vocab"], 0].T)


def _kind(port: BuiltPort) -> type:
    """What a port takes in the program: ids where its package takes rows."""
    return np.int32 if port.type.dtype is DType.I32 or port.table is not None else np.float32


def test_the_encoder_is_theirs(theirs: tuple[Any, Path], packages: Packages) -> None:
    with torch.no_grad():
        want = theirs[0].model.encoder(torch.from_numpy(MEL)).last_hidden_state.numpy()
    assert relative_error(want, encoded(packages)[:, :, 0].transpose(0, 2, 1)) <= LIMIT


def test_logits_label_by_label_are_theirs_over_all_labels(
    theirs: tuple[Any, Path], packages: Packages, memory: dict[str, np.ndarray]
) -> None:
    call = packages.step("decoder")
    got = np.concatenate([step(call, memory, i, 1) for i in range(len(TOKENS))])
    assert relative_error(logits(theirs[0]), got) <= LIMIT


@pytest.mark.parametrize("made", ["ane"], indirect=True)
def test_a_prefilled_cache_goes_on_as_theirs(
    theirs: tuple[Any, Path], packages: Packages, memory: dict[str, np.ndarray]
) -> None:
    prefill, call = packages.step("decoder_prefill"), packages.step("decoder")
    got = [step(prefill, memory, 0, 4)]
    call.continues(prefill)
    got += [step(call, memory, i, 1) for i in range(4, len(TOKENS))]
    assert relative_error(logits(theirs[0]), np.concatenate(got)) <= LIMIT


@pytest.mark.parametrize("made", ["ane"], indirect=True)
def test_searches_find_what_they_find_with_their_model(theirs: tuple[Any, Path], made: BuildResult) -> None:
    class Theirs:
        def start(self, prompt: Sequence[int]) -> tuple[np.ndarray, Any]:
            return logits(theirs[0], np.asarray(prompt))[-1], tuple(prompt)

        def predict(self, labels: Sequence[int], states: Sequence[Any]) -> tuple[np.ndarray, list[Any]]:
            found = [self.start([*state, label]) for label, state in zip(labels, states, strict=True)]
            return np.stack([row for row, _ in found]), [state for _, state in found]

    model = EncoderDecoder(open_built(made.folder), {}, "fp32")
    model.hear(MEL[0].T)
    start = (1, 7, 50, 3, 12)  # a prefill and one more
    greedy, beam = (LabelSettings(start, None, 7, beam=beam, n_best=beam) for beam in (1, 3))
    found, of_theirs = ([label_beam(each, model.vocabulary, s) for s in (beam, greedy)] for each in (model, Theirs()))
    assert [[h.ids for h in each] for each in found] == [[h.ids for h in each] for each in of_theirs]
    tokens = list(start)
    for _ in range(7):
        tokens.append(int(logits(theirs[0], np.asarray(tokens))[-1].argmax()))
    assert list(found[1][0].ids) == tokens[len(start) :]
    _, state = model.start((*start, *found[1][0].ids))
    with pytest.raises(DecodeError, match="goes on for 12 labels"):
        model.predict([3], [state])


@pytest.mark.parametrize("made", ["torch"], indirect=True)
def test_a_training_module_takes_all_labels_at_once(
    theirs: tuple[Any, Path], packages: Packages, memory: dict[str, np.ndarray]
) -> None:
    places = np.arange(len(TOKENS)).reshape(1, 1, 1, -1)
    given = {"token": TOKENS[places], "position": places, **memory}
    got = once(packages, "decoder", given)["output"][0, : SIZES["vocab"], 0].T
    assert relative_error(logits(theirs[0]), got) <= LIMIT


@pytest.mark.parametrize("made", ["ane"], indirect=True)
def test_the_package_has_no_transpose(made: BuildResult) -> None:
    """And no error of `mctc lint`: a build stops at one."""
    ops = [op for function in made.compiled.deployed.functions.values() for op in function.ops]
    assert ops
    assert not [op for op in ops if op.name in ("transpose", "positional_embedding")]


@pytest.mark.parametrize(("spec", "width", "layers", "heads"), [("tiny", 384, 4, 6), ("small", 768, 12, 12)])
def test_the_full_size_has_as_many_parameters_as_theirs(spec: str, width: int, layers: int, heads: int) -> None:
    """Sizes of Radford et al. (2022), table 1, which says 39 M and 244 M; the checkpoints hold 37.8 M and 241.7 M."""
    sides = {f"{side}_{what}": n for side in ("encoder", "decoder") for what, n in
             (("layers", layers), ("attention_heads", heads), ("ffn_dim", 4 * width))}  # fmt: skip
    with torch.device("meta"):
        model = transformers.WhisperForConditionalGeneration(transformers.WhisperConfig(d_model=width, **sides))
    program = elaborate_file(SPEC / f"whisper_{spec}.mct")
    count = sum(parameter.type.size for parameter in program.parameters.values())
    assert count == sum(parameter.numel() for parameter in model.parameters())


def logits(model: Any, tokens: np.ndarray = TOKENS) -> np.ndarray:
    with torch.no_grad():
        given = {"input_features": torch.from_numpy(MEL), "decoder_input_ids": torch.from_numpy(tokens[None])}
        return np.asarray(model(**given).logits[0].numpy())
