"""Parakeet CTC from the folder that the transformers library saved to text, equal to what that library says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.audio import bundled_recording, load_audio
from mctc.cli.main import run

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("tokenizers")
pytest.importorskip("transformers.models.parakeet")
soundfile = pytest.importorskip("soundfile")

from . import parakeet  # noqa: E402

pytestmark = pytest.mark.slow  # in the quick set: audio.mel, architectures.parakeet, runtime.existing

SPEC = Path(__file__).parents[2] / "spec" / "parakeet_ctc.mct"
DEFINES = [part for name, value in parakeet.SIZES.items() for part in ("-D", f"{name}={value}")]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("checkpoint")
    return parakeet.save(folder), folder


@pytest.fixture(scope="module")
def built(checkpoint: tuple[Any, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    weights, made = folder / "parakeet.safetensors", folder / "parakeet"
    told = ["import-weights", str(checkpoint[1]), str(SPEC), "--from", "parakeet_ctc", *DEFINES, "-o", str(weights)]
    assert run(told) == 0
    told = ["build", str(SPEC), *DEFINES, "--weights", str(weights), "--tokens", str(checkpoint[1]), "-o", str(made)]
    assert run([*told, "--without", "annotate-quantization"]) == 0  # random numbers are no int8
    return made


def recording(folder: Path, samples: int) -> tuple[Path, np.ndarray]:
    heard = load_audio(bundled_recording(), 16_000)[:samples]
    soundfile.write(folder / "said.wav", heard, 16_000, subtype="FLOAT")
    return folder / "said.wav", heard


@pytest.mark.parametrize(
    "samples", [48_777, 64_000, 20_111], ids=str
)  # a hop that is incomplete, an utterance, a stride
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_text_is_theirs(
    checkpoint: tuple[Any, Path], built: Path, samples: int, precision: str, tmp_path: Path, capsys: Any
) -> None:
    model, folder = checkpoint
    audio, heard = recording(tmp_path, samples)
    front_end = transformers.ParakeetFeatureExtractor.from_pretrained(folder)
    names = transformers.ParakeetTokenizer.from_pretrained(folder)
    want = names.batch_decode(model.generate(**front_end(heard, sampling_rate=16_000)), skip_special_tokens=True)[0]
    capsys.readouterr()
    assert run(["run", str(built), str(audio), "--precision", precision, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["text"] == want.strip()
    assert len(set(want)) > 5


def test_what_a_user_gets_wrong_is_said_with_the_fix(
    checkpoint: tuple[Any, Path], built: Path, tmp_path: Path, capsys: Any
) -> None:
    audio, _ = recording(tmp_path, 70_000)
    assert run(["run", str(built), str(audio)]) == 1
    assert "longer than an utterance, 4 s" in capsys.readouterr().err
    asked = [
        "build",
        str(SPEC),
        *DEFINES,
        "-D",
        "vocab=60",
        "--tokens",
        str(checkpoint[1]),
        "-o",
        str(tmp_path / "out"),
    ]
    assert run(asked) != 0
    assert "there are 49 tokens, and the vocabulary has 60 classes, one of them the blank" in capsys.readouterr().err
