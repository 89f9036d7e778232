"""Moonshine from the folder that the transformers library saved to text, equal to what its `generate` says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mctc.audio import bundled_recording, load_audio
from mctc.cli.main import run

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("tokenizers")
soundfile = pytest.importorskip("soundfile")

from . import moonshine  # noqa: E402

pytestmark = pytest.mark.slow  # in the quick set: audio.samples, architectures.moonshine, runtime.existing

SPEC = Path(__file__).parents[2] / "spec" / "moonshine_tiny.mct"
ASKED = [str(SPEC), "--model", "moonshine_tiny", *(f"-D{name}={value}" for name, value in moonshine.SIZES.items())]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("checkpoint")
    return moonshine.save(folder), folder


@pytest.fixture(scope="module")
def weights(checkpoint: tuple[Any, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("imported") / "moonshine.safetensors"
    assert run(["import-weights", str(checkpoint[1]), *ASKED, "--from", "moonshine", "-o", str(path)]) == 0
    return path


def built(checkpoint: tuple[Any, Path], weights: Path, folder: Path, *asked: str) -> Path:
    told = ["build", *ASKED, "--weights", str(weights), "--tokens", str(checkpoint[1]), "-o", str(folder), *asked]
    assert run(told) == 0
    return folder


@pytest.fixture(scope="module")
def package(checkpoint: tuple[Any, Path], weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(checkpoint, weights, tmp_path_factory.mktemp("built") / "moonshine")


def said(model: Any, folder: Path, samples: int, place: Path) -> tuple[Path, list[int], str]:
    """A recording, and the tokens and the text of the library's own model."""
    heard = load_audio(bundled_recording(), 16_000)[:samples]
    soundfile.write(place / "said.wav", heard, 16_000, subtype="FLOAT")
    given = torch.from_numpy(heard)[None]
    ids = model.generate(given, attention_mask=torch.ones_like(given, dtype=torch.long))[0].tolist()
    names = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    return place / "said.wav", ids[1:], names.decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize("samples", [32_137, 38_400, 9_000])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_text_is_theirs(
    checkpoint: tuple[Any, Path], package: Path, samples: int, precision: str, tmp_path: Path, capsys: Any
) -> None:
    audio, ids, text = said(*checkpoint, samples, tmp_path)
    capsys.readouterr()
    assert run(["run", str(package), str(audio), "--precision", precision, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tokens"] == ids
    assert found["text"] == text.strip()
    assert len(set(text)) > 3


@pytest.mark.parametrize("target", ["onnx", "torch"])
def test_every_runtime_says_the_same(
    target: str, checkpoint: tuple[Any, Path], weights: Path, tmp_path: Path, capsys: Any
) -> None:
    if target == "onnx":
        pytest.importorskip("onnxruntime")
    folder = built(checkpoint, weights, tmp_path / target, "--target", target)
    audio, _, text = said(*checkpoint, 32_137, tmp_path)
    capsys.readouterr()
    more = ["--weights", str(weights)] if target == "torch" else []
    assert run(["run", str(folder), str(audio), *more]) == 0
    assert capsys.readouterr().out.strip() == text.strip()


def test_what_a_user_gets_wrong_is_said_with_the_fix(
    checkpoint: tuple[Any, Path], package: Path, tmp_path: Path, capsys: Any
) -> None:
    audio, _, _ = said(*checkpoint, 40_000, tmp_path)
    assert run(["run", str(package), str(audio)]) == 1
    assert "has 2.5 s, an utterance 2.4 s" in capsys.readouterr().err
    assert run(["import-weights", str(checkpoint[1]), *ASKED, "--from", "whisper"]) == 1
    assert "missing" in capsys.readouterr().out
