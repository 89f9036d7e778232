"""A recording through a build whose results have no time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mctc.cli.main import run
from mctc.driver import build
from mctc.driver.options import BuildError
from mctc.evaluate.reference import evaluate
from mctc.ir.text import parse_program
from mctc.proof.proof import Proof
from mctc.runtime.built import open_built
from mctc.runtime.pooled import pool, pooling
from mctc.runtime.speech import chunks_of
from mctc.runtime.stream import front_end_of

SPEC = """
model tells(width = 6) {
    dim B: batch
    dim T: time @ 100 Hz
    dim V: vocabulary = 5
    component hears(mel: f32[B, T, 80]) -> (voice: f32[B, width], language: f32[B, V], loudness: f32[]) {
        h = tanh(conv1d(mel, width, 4, stride = 4, look_ahead = 3))
        mean = op.reshape(reduce_mean(h, axis = "time"), axes = [["batch", B], ["channel", width]])
        param gain: f32[] = 0.5
        return mean, log_softmax(linear(mean, V)), gain
    }
    utterance { length = 4 s }
}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pooled")
    (folder / "tells.mct").write_text(SPEC)
    return build(folder / "tells.mct", folder / "out").folder


def test_every_rung_holds_for_results_without_time(built: Path) -> None:
    checks = list(Proof(built, runtimes=[]).checks())
    assert {check.ok for check in checks} <= {True, None}
    assert any(check.name == "IR reference, steps" for check in checks)


def test_the_results_are_those_of_the_whole_function(built: Path, speech: Path) -> None:
    opened = open_built(built)
    found = pool(opened, speech, "fp32")
    ((chunk, frames),) = chunks_of(front_end_of(opened), speech, 400, once=True)
    program = parse_program((built / "whole.mir").read_text())
    weights = opened.values(program)
    inputs = {"mel": chunk.T[None, :, None]}
    function = program.functions["hears"]
    whole, _ = evaluate(function, inputs, lambda key: weights.deployed(program.parameters[key]))
    assert found.audio_s == pytest.approx(frames / 100)
    assert found.scores == {"language"}
    for name, shape in (("voice", (6,)), ("language", (5,)), ("loudness", ())):
        assert found.results[name].shape == shape
        np.testing.assert_allclose(found.results[name], np.squeeze(whole[name].ravel()[: max(1, *shape, 0)]), rtol=1e-5)


def test_run_prints_them(built: Path, speech: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", str(built), "--audio", str(speech)]) == 0
    text = capsys.readouterr().out
    assert "voice (6, length " in text
    assert "language (5): best " in text
    assert "loudness (a number): 0.5" in text
    assert run(["run", str(built), "--audio", str(speech), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert {name: np.shape(numbers) for name, numbers in record["results"].items()} == {
        "voice": (6,), "language": (5,), "loudness": (),
    }  # fmt: skip


HEADS = """
model feels(width = 6) {
    dim B: batch
    dim T: time @ 100 Hz
    dim E: vocabulary = 3
    component hears(samples: f32[B, T, 160] in [-1, 1]) -> (emotion: f32[B, 1, E], arousal: f32[B, 1, 1]) {
        mean = reduce_mean(tanh(linear(samples, width)), "time")
        return softmax(linear(mean, E) as emotions), sigmoid(linear(mean, 1) as arousal)
    }
    audio { rate = 16 kHz }
    utterance { length = 2 s }
    tokens { letters = ["calm", "glad", "shy"] }
}
"""


def test_one_frame_of_an_utterance_is_a_result_without_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No search reads it, and no result is dropped: a class 0 would be the blank of one."""
    import soundfile

    (tmp_path / "feels.mct").write_text(HEADS)
    folder = build(tmp_path / "feels.mct", tmp_path / "out").folder
    soundfile.write(tmp_path / "odd.wav", 0.1 * np.sin(np.arange(16_123)), 16_000)
    found = pool(open_built(folder), tmp_path / "odd.wav", "fp32")
    assert {name: array.shape for name, array in found.results.items()} == {"emotion": (3,), "arousal": ()}
    assert found.results["emotion"].sum() == pytest.approx(1)
    assert run(["run", str(folder), str(tmp_path / "odd.wav")]) == 0
    told = capsys.readouterr().out
    best = ("calm", "glad", "shy")[int(found.results["emotion"].argmax())]
    assert f"emotion (3): best {best} (" in told
    assert "arousal (a number): " in told


def test_marks_of_samples_end_where_the_recording_does(tmp_path: Path) -> None:
    import soundfile

    (tmp_path / "m.mct").write_text("""model marked {
        dim T: time @ 100 Hz
        component c(samples: f32[T, 160], exists: f32[T, 160] in {0, 1}) -> f32[1, 1] {
            return reduce_mean(reduce_mean(exists, "channel") + 0 * reduce_mean(samples, "channel"), "time")
        }
        audio { rate = 16 kHz }
        utterance { length = 2 s }
    }""")
    folder = build(tmp_path / "m.mct", tmp_path / "out").folder
    soundfile.write(tmp_path / "odd.wav", np.zeros(16_123), 16_000)
    found = pool(open_built(folder), tmp_path / "odd.wav", "fp32")
    assert found.results["output"] == pytest.approx(16_123 / 32_000, rel=1e-5)
    assert found.audio_s == 16_123 / 16_000


def test_subtitles_of_numbers_are_refused_without_advice(
    built: Path, speech: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["run", str(built), str(speech), "--format", "srt"]) == 2
    told = capsys.readouterr().err
    assert "there is no --format srt" in told
    assert "--timestamps" not in told


def test_a_recording_that_is_longer_than_the_utterance_is_refused(built: Path, tmp_path: Path) -> None:
    import soundfile

    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros(5 * 16_000), 16_000)
    with pytest.raises(BuildError, match="longer than an utterance"):
        pool(open_built(built), path)


def test_a_build_that_streams_is_no_such_build(tmp_path: Path, speech: Path) -> None:
    (tmp_path / "s.mct").write_text(
        "model s {\n    dim T: time @ 100 Hz\n"
        "    component c(mel: f32[T, 80]) -> f32[T, 4] { return linear(mel, 4) }\n    stream { chunk = 40 ms }\n}\n"
    )
    streams = open_built(build(tmp_path / "s.mct", tmp_path / "out").folder)
    assert pooling(streams) is None
    with pytest.raises(BuildError, match="results without time"):
        pool(streams, speech)


def test_a_stream_whose_results_have_no_time_is_refused_with_what_to_write(
    tmp_path: Path, speech: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.mct").write_text(
        "model s {\n    dim B: batch\n    dim T: time @ 100 Hz\n    component c(mel: f32[B, T, 80]) -> f32[B, 4] {"
        " return final(gru(mel, 4)) }\n    stream { chunk = 40 ms }\n}\n"
    )
    folder = build(tmp_path / "s.mct", tmp_path / "out").folder
    assert run(["run", str(folder), str(speech)]) == 1
    assert "a model that takes an utterance, not a stream of chunks" in " ".join(capsys.readouterr().err.split())
