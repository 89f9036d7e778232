"""An input that says which frames exist is told so, whatever kind of function hears them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mctc.audio import load_audio, log_mel
from mctc.decode.settings import Settings
from mctc.driver import BuildOptions, build
from mctc.driver.options import BuildError
from mctc.runtime.built import Built, open_built
from mctc.runtime.pooled import pool
from mctc.runtime.searched import recogniser
from mctc.runtime.stream import SpeechStream, front_end_of

SPEC = """
model heard(seconds = 4) {{
    dim B: batch
    dim T: time @ 100 Hz
    dim V: vocabulary = 6
    component hears(mel: f32[B, T, 40], exists: f32[B, T] {told}) -> {result} {{
        x = conv1d(mel, 8, 2, stride = 2, look_ahead = 1)
        {body}
    }}
    {sections}
}}
"""
RECORDING = 'audio { preemphasis = 0.97; log = "ln"; normalise = "recording"; partial = false }'
FRAMES = {
    "told": "", "result": "f32[B, T/2, V]",
    "body": "return linear(attention(x, x, x, slice(exists, \"time\", stride = 2), heads = 2), V)",
}  # fmt: skip
POOLED = {
    "told": "in {0, 1}", "result": "f32[B, 8]",
    "body": "x = reduce_sum(x * slice(exists, \"time\", stride = 2), axis = \"time\")\n"
            "return op.reshape(x, axes = [[\"batch\", B], [\"channel\", 8]])",
}  # fmt: skip
STREAMED = FRAMES | {
    "body": 'return linear(attention(x, x, x, slice(exists, "time", stride = 2), heads = 2, left = 5, right = 1), V)'
}


def made(folder: Path, text: dict[str, str], sections: str, seconds: int = 4) -> Built:
    spec = folder / "heard.mct"
    spec.write_text(SPEC.format(**text, sections=sections))
    return open_built(build(spec, folder / f"out{seconds}", BuildOptions(defines={"seconds": seconds})).folder)


def encoded(built: Built, mel: np.ndarray) -> np.ndarray:
    """Encoded frames of frames [frames, bins], filled up with silence."""
    encoder = recogniser(built, "fp32").stream()
    parts = [mel[at : at + encoder.chunk] for at in range(0, len(mel), encoder.chunk)]
    filled = [np.pad(part, ((0, encoder.chunk - len(part)), (0, 0)), constant_values=9.0) for part in parts]
    return np.concatenate(
        [*(encoder.push(part, len(heard)) for part, heard in zip(filled, parts, strict=True)), encoder.finish()]
    )


def test_an_utterance_is_heard_as_in_a_call_of_its_own_length(speech: Path, tmp_path: Path) -> None:
    sections = RECORDING + "; utterance { length = 1 s * seconds }"
    longer, exact = made(tmp_path, FRAMES, sections), made(tmp_path, FRAMES, sections, seconds=2)
    assert longer.manifest["audio"]["exists"] == "exists"
    mel = log_mel(load_audio(speech)[:32_000], front_end_of(longer))
    np.testing.assert_allclose(encoded(longer, mel), encoded(exact, mel), atol=2e-5)
    np.testing.assert_allclose(mel.mean(axis=0), 0, atol=1e-5)


def test_a_stream_is_heard_as_in_longer_chunks(speech: Path, tmp_path: Path) -> None:
    built = made(tmp_path, STREAMED, "audio { low = 60 Hz }; stream { chunk = 80 ms }")
    again = made(tmp_path, STREAMED, "audio { low = 60 Hz }; stream { chunk = 320 ms }", seconds=5)
    mel = log_mel(load_audio(speech)[:20_000], front_end_of(built))
    found = encoded(built, mel)
    assert len(found) == -(-len(mel) // 2)
    np.testing.assert_allclose(found[:-1], encoded(again, mel)[:-1], atol=2e-5)


WAVES = """
model waves(frames = 40) {
    dim B: batch
    dim T: time @ 500 Hz
    dim V: vocabulary = 6
    component hears(samples: f32[B, T, 32], exists: f32[B, T, 32] in {0, 1}) -> f32[B, T/2, V] {
        x = tanh(framed_conv1d(samples, 8, 50) as front)
        exists = valid_exists(exists, 50)
        x = utterance_norm(x, exists) as norm
        y = conv1d(x, 8, 4, stride = 2, look_ahead = 3)
        exists = op.reshape(valid_exists(exists, 4, stride = 2), axes = [["batch", B], ["time", T/2]])
        return linear(attention(y, y, y, exists, heads = 2), V)
    }
    audio { rate = 16 kHz }
    utterance { length = 1 frames * frames }
}
"""


def test_frames_of_samples_exist_as_far_as_their_samples_do(tmp_path: Path) -> None:
    """A call that is longer than a recording hears it as one of its own length, to the sample."""
    spec, samples = tmp_path / "waves.mct", np.random.default_rng(0).normal(scale=0.1, size=779)
    spec.write_text('import "lib/waveform.mct"\n' + WAVES)
    found = []
    for frames in (40, 26):
        options = BuildOptions(defines={"frames": frames})
        built = open_built(build(spec, tmp_path / f"out{frames}", options).folder)
        stream = SpeechStream(recogniser(built, "fp32"), Settings())
        heard: list[np.ndarray] = []
        stream.search.accept = lambda encoded, heard=heard: heard.append(encoded)  # type: ignore[method-assign]
        for part in (samples[:100], samples[100:]):
            list(stream.push(part.astype(np.float32)))
        list(stream.flush())
        found.append(np.concatenate(heard))
        assert stream.audio_s == pytest.approx(779 / 16_000)
    valid = ((779 - 50) // 32 + 1 - 4) // 2 + 1  # without padding
    np.testing.assert_allclose(found[0][:valid], found[1][:valid], atol=2e-5)


def test_results_without_time_are_of_the_frames_that_exist(speech: Path, tmp_path: Path) -> None:
    sections = "audio { centred = true }; utterance { length = 1 s * seconds }"
    longer, exact = made(tmp_path, POOLED, sections), made(tmp_path, POOLED, sections, seconds=3)
    found, want = (pool(built, speech, "fp32").results["output"] for built in (longer, exact))
    np.testing.assert_allclose(found, want, rtol=1e-4)


def test_a_build_without_such_an_input_is_told_nothing(speech: Path, tmp_path: Path) -> None:
    built = made(tmp_path, FRAMES, "audio { low = 60 Hz }; utterance { length = 4 s }")
    manifest = {**built.manifest, "audio": {**built.manifest["audio"], "exists": None}}
    with pytest.raises(BuildError, match="takes 2 streams of frames"):
        recogniser(replace(built, manifest=manifest)).stream()
