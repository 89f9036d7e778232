"""Whisper from the folder that the transformers library saved to text, equal to what that library's `generate` says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.cli.main import run

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")
soundfile = pytest.importorskip("soundfile")

from . import whisper  # noqa: E402

pytestmark = pytest.mark.slow  # a whole vocabulary; in the quick set: rules, segments, tokens.times, runtime.utterance

SPEC = Path(__file__).parents[2] / "spec" / "whisper_tiny.mct"
DEFINES = [part for name, value in whisper.SIZES.items() for part in ("-D", f"{name}={value}")]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    torch.set_num_threads(1)  # so small a model only waits for more
    folder = tmp_path_factory.mktemp("checkpoint")
    return whisper.save(folder), folder


@pytest.fixture(scope="module")
def weights(checkpoint: tuple[Any, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("imported") / "whisper.safetensors"
    told = ["import-weights", str(checkpoint[1]), str(SPEC), "--from", "whisper", *DEFINES, "-o", str(path)]
    assert run(told) == 0
    return path


@pytest.fixture(scope="module")
def built(checkpoint: tuple[Any, Path], weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "whisper"
    told = ["build", str(SPEC), *DEFINES, "--weights", str(weights), "--tokens", str(checkpoint[1]), "-o", str(folder)]
    assert run(told) == 0
    return folder


def heard(built: Path, audio: Path, capsys: Any, *asked: str) -> Any:
    capsys.readouterr()
    assert run(["run", str(built), str(audio), "--precision", "fp32", "--json", *asked]) == 0
    return json.loads(capsys.readouterr().out)


def recording(folder: Path, seconds: float) -> tuple[Path, np.ndarray]:
    samples = whisper.samples(seconds)
    soundfile.write(folder / "said.wav", samples, 16_000, subtype="FLOAT")
    return folder / "said.wav", samples


def features(folder: Path, samples: np.ndarray, **asked: Any) -> Any:
    front_end = transformers.WhisperFeatureExtractor.from_pretrained(folder)
    return front_end(samples, sampling_rate=16_000, return_tensors="pt", **asked)


class Still:
    """A generator of no chance."""

    def gumbel(self, *, size: int) -> np.ndarray:
        return np.zeros(size)


@pytest.mark.parametrize(
    ("asked", "options"),
    [
        ({"language": "en", "task": "transcribe"}, []),
        (
            {"language": "de", "task": "translate"},
            ["--start=<|startoftranscript|>", "--start=<|de|>", "--start=<|translate|>", "--start=<|notimestamps|>"],
        ),
        ({"language": "en", "task": "transcribe", "return_timestamps": True}, ["--timestamps"]),
    ],
    ids=["as the spec begins", "another language and task", "with times"],
)
def test_the_text_is_theirs(
    checkpoint: tuple[Any, Path], built: Path, asked: dict[str, Any], options: list[str], tmp_path: Path, capsys: Any
) -> None:
    model, folder = checkpoint
    audio, samples = recording(tmp_path, 1.5)
    want = model.generate(features(folder, samples).input_features, **asked)[0].tolist()
    found = heard(built, audio, capsys, *options)
    assert found["tokens"] == want
    names = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert len(found["text"]) > 5
    assert found["text"] == names.decode([token for token in want if token < 50_257], skip_special_tokens=True).strip()


@pytest.mark.parametrize(
    ("asked", "options", "windows"),
    [
        ({}, [], 4),
        ({"condition_on_prev_tokens": True}, ["--previous"], 4),
        (
            {"condition_on_prev_tokens": True, "temperature": (0.0, 0.4, 0.8), "logprob_threshold": -4.06,
             "compression_ratio_threshold": 0.9},
            ["--previous", "--temperature=0", "--temperature=0.4", "--temperature=0.8", "--likelihood-limit=-4.06",
             "--repetition-limit=0.9"],
            4,
        ),
        (
            {"temperature": (0.0,), "logprob_threshold": -4.0, "compression_ratio_threshold": 9.0,
             "no_speech_threshold": 1.2e-5},
            ["--likelihood-limit=-4", "--no-speech-limit=1.2e-5"],
            3,
        ),
    ],
    ids=["alone", "behind the text before", "at several temperatures", "without those in which nobody speaks"],
)  # fmt: skip
def test_windows_of_a_long_recording_are_theirs(
    checkpoint: tuple[Any, Path], built: Path, asked: dict[str, Any], options: list[str], windows: int, tmp_path: Path,
    capsys: Any, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """What is drawn at a temperature is the likeliest in both: chance is not theirs."""
    monkeypatch.setattr(torch, "multinomial", lambda scores, **_: scores.argmax(-1, keepdim=True))
    monkeypatch.setattr(np.random, "default_rng", lambda _: Still())
    model, folder = checkpoint
    audio, samples = recording(tmp_path, 7)
    given = features(folder, samples, truncation=False, padding="longest", return_attention_mask=True)
    told = {"language": "en", "task": "transcribe", "return_timestamps": True, "return_segments": True, "top_k": 0}
    want = model.generate(**given, **told, **asked)["segments"][0]
    parts = heard(built, audio, capsys, "--timestamps", *options)["segments"]
    assert len(parts) >= windows
    places = [(float(part["start"]), float(part["end"])) for part in want]
    np.testing.assert_allclose([(part["start"], part["end"]) for part in parts], places, atol=1e-4)
    texts = [[token for token in part["tokens"].tolist() if token < 50_257] for part in want]
    assert [[label for label in part["labels"] if label < 50_257] for part in parts] == texts


def test_parts_become_subtitles(built: Path, tmp_path: Path, capsys: Any) -> None:
    audio, _ = recording(tmp_path, 4)
    assert run(["run", str(built), str(audio), "--timestamps", "--format", "srt"]) == 0
    assert "00:00:0" in capsys.readouterr().out


def test_what_a_user_gets_wrong_is_said_with_the_fix(
    checkpoint: tuple[Any, Path], weights: Path, built: Path, tmp_path: Path, capsys: Any
) -> None:
    audio, _ = recording(tmp_path, 3)
    assert run(["run", str(built), str(audio)]) == 1
    told = capsys.readouterr().err
    assert "has 3.0 s, an utterance 2 s" in told
    assert "--timestamps" in told
    assert run(["run", str(built), str(audio), "--start", "<|dee|>"]) == 2
    told = capsys.readouterr().err
    assert "the tokens have no <|dee|>" in told
    assert "<|de|>" in told
    small = tmp_path / "tokenizer.json"
    small.write_text(json.dumps({"model": {"vocab": {"a": 0, "b": 1}}}))
    asked = ["build", str(SPEC), *DEFINES, "--weights", str(weights), "--tokens", str(small)]
    assert run([*asked, "-o", str(tmp_path / "out")]) != 0
    told = capsys.readouterr().err
    assert "begins or ends with class 50258, and there are 2 tokens" in told
    assert "take the tokens of this" in told
