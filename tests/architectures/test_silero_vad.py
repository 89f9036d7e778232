"""Silero VAD's spec: against the published architecture in torch, and its package's own ONNX model and weights."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest

from mctc.audio import load_audio
from mctc.audio.bundled import bundled_recording
from mctc.driver import BuildOptions, build
from mctc.evaluate.reference import evaluate
from mctc.importing import Checkpoint, ImportPlan, plan, shipped_map, write
from mctc.ir.op import Array
from mctc.language import elaborate_file
from mctc.numerics.difference import relative_error
from mctc.runtime.built import open_built
from mctc.runtime.step import Packages
from mctc.streaming.derive import derive_program
from mctc.streaming.run import stream
from mctc.weights import Weights

from .proof import LIMIT

torch = pytest.importorskip("torch")

SPEC = Path(__file__).parents[2] / "spec" / "silero_vad.mct"
FRAME, CONTEXT = 512, 64


def framed(sound: Array) -> Array:
    """[1, frames, 512], the last frame filled up with silence."""
    return np.pad(sound, (0, -len(sound) % FRAME)).reshape(1, -1, FRAME).astype(np.float32)


def in_torch(samples: Array, weights: Mapping[str, Array]) -> Array:
    """Kernels of a spectrum over 640 samples, four convolutions, an LSTM cell and a projection, frame by frame."""
    w = {name.removeprefix("vad."): torch.tensor(np.asarray(value)) for name, value in weights.items()}
    state, before, made = (torch.zeros(1, 128), torch.zeros(1, 128)), torch.zeros(1, CONTEXT), []
    cell = torch.nn.LSTMCell(128, 128)
    cell.load_state_dict({f"{n}": w[f"lstm_cell.{n}"] for n in ("weight_ih", "weight_hh")}, strict=False)
    with torch.no_grad():
        cell.bias_ih.copy_(w["lstm_cell.bias"])
        cell.bias_hh.zero_()
        for frame in torch.tensor(samples[0]):
            x = torch.nn.functional.pad(torch.cat([before, frame[None]], 1)[:, None], (0, 64), "reflect")
            before = frame[None, -CONTEXT:]
            y = torch.nn.functional.conv1d(x, w["stft"][:, None], stride=128)
            y = torch.sqrt(y[:, :129] ** 2 + y[:, 129:] ** 2)
            for layer, stride in ((1, 1), (2, 2), (3, 2), (4, 1)):
                kernel, bias = w[f"conv{layer}.weight"][..., 0], w[f"conv{layer}.bias"]
                y = torch.relu(torch.nn.functional.conv1d(y, kernel, bias, stride=stride, padding=1))
            state = cell(y[..., 0], state)
            made.append(torch.sigmoid(torch.relu(state[0]) @ w["final_conv.weight"].T + w["final_conv.bias"]))
    return np.asarray(torch.stack(made, 1))


def test_it_is_the_published_architecture() -> None:
    program = elaborate_file(SPEC)
    weights = Weights(program.sources)
    values = {name: np.asarray(weights.value(parameter)) for name, parameter in program.parameters.items()}
    values["vad.stft"] = np.random.default_rng(1).normal(size=(258, 256), scale=0.05)
    samples = framed(np.random.default_rng(0).normal(size=20 * FRAME, scale=0.1))
    ours = evaluate(program.functions["vad"], {"samples": samples}, values.__getitem__)[0]["speech"]
    theirs = in_torch(samples, {name: value.astype(np.float32) for name, value in values.items()})
    assert relative_error(ours, theirs) <= LIMIT


@pytest.fixture(scope="module")
def package() -> Path:
    """The data of the package silero-vad, which is not imported."""
    found = find_spec("silero_vad")
    if found is None or not found.submodule_search_locations:
        pytest.skip("silero-vad is not installed")
    return Path(found.submodule_search_locations[0]) / "data"


@pytest.fixture(scope="module")
def sound() -> Array:
    return framed(load_audio(bundled_recording()))


@pytest.fixture(scope="module")
def by_onnxruntime(package: Path, sound: Array) -> Array:
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(package / "silero_vad.onnx"), providers=["CPUExecutionProvider"])
    state, before, made = np.zeros((2, 1, 128), np.float32), np.zeros((1, CONTEXT), np.float32), []
    for frame in sound[0]:
        given = np.concatenate([before, frame[None]], 1)
        speech, state = session.run(None, {"input": given, "state": state, "sr": np.asarray(16000, np.int64)})
        made.append(speech)
        before = given[:, -CONTEXT:]
    return np.stack(made, 1)


@pytest.fixture(scope="module")
def own(package: Path) -> ImportPlan:
    """The weights of the package's ONNX models under the spec's names."""
    pytest.importorskip("onnx")
    planned = plan(
        elaborate_file(SPEC), Checkpoint(package / "silero_vad_16k_op15.onnx"), shipped_map("silero_vad_onnx")
    )
    assert not planned.problems
    return planned


def test_with_its_own_weights_a_stream_is_its_own_model_s(own: ImportPlan, sound: Array, by_onnxruntime: Array) -> None:
    steps, infos = derive_program(elaborate_file(SPEC), 3)
    step = (steps.functions["vad"], infos["vad"])
    got = stream(lambda _: step, {"samples": sound}, repeat(3), lambda f, i, s: evaluate(f, i, own.value, s))
    assert np.abs(got["speech"] - by_onnxruntime).max() <= LIMIT


def test_its_package_hears_speech_in_the_same_frames(
    own: ImportPlan, sound: Array, by_onnxruntime: Array, tmp_path: Path
) -> None:
    """Weights of 16 bit would move what it says by up to 0.03: it keeps them in fp32."""
    weights = tmp_path / "weights.safetensors"
    write(weights, elaborate_file(SPEC), own, {})
    built = open_built(build(SPEC, tmp_path / "out", BuildOptions(weights=weights)).folder)
    step = Packages(built, "fp32", lambda of: built.values(of, weights)).step("vad")
    calls = [step({"samples": frame.reshape(1, FRAME, 1, 1)})["speech"] for frame in sound[0]]
    speech = np.reshape(calls, by_onnxruntime.shape)
    assert np.abs(speech - by_onnxruntime).max() <= LIMIT
    assert np.array_equal(speech > 0.5, by_onnxruntime > 0.5)
    assert 0.3 < (speech > 0.5).mean() < 1


def test_the_older_weights_as_safetensors_find_their_places(package: Path) -> None:
    program = elaborate_file(SPEC)
    planned = plan(program, Checkpoint(package / "silero_vad_16k.safetensors"), shipped_map("silero_vad"))
    assert not planned.problems
    samples = framed(np.random.default_rng(0).normal(size=8 * FRAME, scale=0.1))
    values = {name: planned.value(name) for name in program.parameters}
    ours = evaluate(program.functions["vad"], {"samples": samples}, values.__getitem__)[0]["speech"]
    assert relative_error(ours, in_torch(samples, values)) <= LIMIT
