"""The session of an emitted package hears what mctc hears in the same build, and belongs to its thread."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import mctc
from mctc.audio import bundled_recording, load_audio
from mctc.driver.make import build
from mctc.driver.options import BuildOptions
from mctc.language import elaborate_file
from mctc.targets.mlx.engine import module_of
from tests.architectures.proof import drawn

pytest.importorskip("mlx.core", reason="mlx is not installed: pip install 'mctc[mlx]'")
SECONDS = 4
# Tensors of the model itself, which components take in the order that each has use for them.
TIED = """
model tied(mels = 80, width = 32, vocab = 20) {
    dim B: batch
    dim T: time @ 100 Hz
    dim U: label
    dim V: vocabulary = vocab + 1
    param table: f32[V, width] = normal(std = 0.5)
    param gate: f32[width] = normal(std = 0.5)
    component encoder(mel: f32[B, T, mels]) -> f32[B, T, width] {
        return tanh((conv1d(linear(mel, width) as proj, width, kernel = 3) as conv) * gate)
    }
    component predictor(token: i32[B, U] < V) -> f32[B, U, width] {
        return lstm(op.embedding(token, table) * gate, width) as memory
    }
    component joiner(enc: f32[B, T, width], pred: f32[B, U, width]) -> f32[B, T, U, V] {
        return op.linear(tanh(enc + pred), table)
    }
    stream { chunk = 320 ms }
    train { objective = rnnt(blank = 0) }
}
"""


@pytest.fixture(scope="module")
def folder(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mct_tiny with the weights that the wheel holds."""
    shipped = root / "spec/trained"
    options = BuildOptions(weights=shipped / "mct_tiny.safetensors", tokens=shipped / "pieces.model", target="mlx")
    return build(root / "spec/mct_tiny.mct", tmp_path_factory.mktemp("mlx") / "tiny", options).folder


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return np.asarray(load_audio(bundled_recording(), 16_000)[: SECONDS * 16_000], np.float32)


def opened(module: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A new session, its step not compiled: on Linux that calls the system's compiler."""
    import mlx.core as mx

    made = module_of(module, "session")
    monkeypatch.setattr(mx, "compile", lambda function: function)
    return made.Session(module.parents[1])


@pytest.fixture
def session(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A session of mct_tiny."""
    return opened(folder / "mct_tiny/model.py", monkeypatch)


def test_what_is_heard_is_what_mctc_hears_in_the_same_build(folder: Path, session: Any, samples: np.ndarray) -> None:
    partials = [session.step(samples[start : start + 1000]) for start in range(0, len(samples), 1000)]
    text = session.finish()
    assert text == mctc.open(folder).transcribe(samples).text
    assert all(text.startswith(partial) for partial in partials)
    assert text


def test_components_that_share_tensors_of_the_model_are_given_them(
    samples: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tied.mct").write_text(TIED, encoding="utf-8")
    (tmp_path / "letters.txt").write_text("<blk>\n" + "\n".join("abcdefghijklmnopqrst"), encoding="utf-8")
    save_file(drawn(elaborate_file(tmp_path / "tied.mct")), tmp_path / "drawn.safetensors")
    options = BuildOptions(weights=tmp_path / "drawn.safetensors", tokens=tmp_path / "letters.txt", target="mlx")
    folder = build(tmp_path / "tied.mct", tmp_path / "tied", options).folder
    session = opened(folder / "tied/model.py", monkeypatch)
    session.step(samples[:16_000])
    assert session.finish() == mctc.open(folder).transcribe(samples[:16_000]).text != ""


@pytest.mark.parametrize("apart", [False, True])
def test_a_transducer_with_durations_skips_frames_as_mctc_does(
    apart: bool, root: Path, samples: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, defines = root / "tests/runtime/durations.mct", {"apart": apart}
    weights = drawn(elaborate_file(spec, defines=defines))
    save_file(weights, tmp_path / "drawn.safetensors")
    options = BuildOptions(weights=tmp_path / "drawn.safetensors", target="mlx", defines=defines)
    folder = build(spec, tmp_path / "built", options).folder
    session = opened(folder / "durations/model.py", monkeypatch)
    for start in range(0, 32_000, 5000):
        session.step(samples[start : min(start + 5000, 32_000)])
    assert session.finish() == mctc.open(folder).transcribe(samples[:32_000]).text != ""


def test_what_is_no_sound_is_refused(session: Any) -> None:
    with pytest.raises(ValueError, match="finite floats"):
        session.step(np.ones(10, np.int16))
    with pytest.raises(ValueError, match="finite floats"):
        session.step(np.full(10, np.nan, np.float32))


def test_another_thread_is_told_to_make_a_session_of_its_own(session: Any, samples: np.ndarray) -> None:
    said: list[str] = []

    def hear() -> None:
        try:
            session.step(samples)
        except RuntimeError as error:
            said.append(str(error))

    thread = threading.Thread(target=hear)
    thread.start()
    thread.join()
    assert said == ["a session belongs to the thread that made it: make one for each thread"]


def test_memory_stays_where_it_is(session: Any, samples: np.ndarray) -> None:
    """Whatever the length: what a chunk leaves is evaluated, and every chunk has one shape."""
    import mlx.core as mx

    held = []
    for _ in range(3):
        session.step(samples)
        mx.synchronize()  # what a worker of MLX has still in hand is no memory of the session
        gc.collect()
        held.append(mx.get_active_memory())
    assert max(held[1:]) <= held[0] + 65_536, "the steps of four seconds, kept, would be a megabyte"


def test_a_wav_file_is_heard_from_the_command_line(folder: Path, samples: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    environment = {**os.environ, "MLX_DISABLE_COMPILE": "1"}

    def said(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mct_tiny", *arguments]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    done = said(str(path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert said().returncode == 2
    assert "error: " in said(str(tmp_path / "nothing.wav")).stderr
    path.write_bytes(b"fLaC of another form")
    assert said(str(path)).stderr.startswith(f"error: {path} is no WAV file")
