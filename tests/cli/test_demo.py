"""The shipped checkpoint hears the bundled recording but for two words of 34, the same in every runtime."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mctc.audio import bundled_recording, bundled_text, load_audio
from mctc.cli.demo import beside, model, steps, words
from mctc.driver import BuildOptions, build
from mctc.runtime.built import open_built
from mctc.runtime.speech import transcribe
from tests.conftest import ROOT

SENTENCE_S = 3.3  # the first sentence of the recording, up to the pause behind it


def test_what_the_demo_takes_is_no_extra(root: Path) -> None:
    """README's first command installs mctc alone."""
    assert model()[2].name == "pieces.model"
    core = re.search(r"\ndependencies = \[(.*?)\n\]", (root / "pyproject.toml").read_text(encoding="utf-8"), re.DOTALL)
    assert core is not None
    assert '"sentencepiece>=' in core[1]


def said_by(target: str, folder: Path, recording: Path) -> str:
    """What a build of the shipped model hears."""
    spec, weights, tokens = model()
    options = BuildOptions(target=target, weights=weights, tokens=tokens)
    built = open_built(build(spec, folder, options).folder)
    assert built.tokens is not None
    (best,) = transcribe(built, recording, checkpoint=weights).best
    return built.tokens.text(best.ids)


def test_the_package_hears_the_first_sentence_in_fp16(tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "first.wav", load_audio(bundled_recording())[: int(SENTENCE_S * 16_000)], 16_000)
    assert said_by("ane", tmp_path / "built", tmp_path / "first.wav") == " ".join(words(bundled_text())[:10])


@pytest.mark.slow  # the whole recording; the first sentence is above
@pytest.mark.parametrize("target", ["ane", "onnx", "coreai", "torch"])
def test_every_runtime_hears_the_same_words(target: str, tmp_path: Path) -> None:
    library = {"ane": "numpy", "onnx": "onnxruntime", "coreai": "coreai", "torch": "torch"}[target]
    pytest.importorskip(library)
    heard, said = said_by(target, tmp_path / "built", bundled_recording()).split(), words(bundled_text())
    assert [pair for pair in zip(heard, said, strict=True) if len({*pair}) > 1] == [("coaled", "cold")]
    assert " ".join(heard) in " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())


def test_the_demo_ends_with_what_was_heard_beside_what_was_said() -> None:
    told = beside("good morning and thank you", "Good morning, and thank you.")
    assert told == ["said   good morning and thank you", "heard  good morning and thank you", "       the same 5 words"]
    assert beside("good mourning", "Good morning.")[-1] == "       1 of 2 words are the same"
    assert max(map(len, beside("word " * 100, "word " * 100))) <= 72


def test_the_demo_shows_commands_as_one_would_type_them(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    built, hear, verify = (" ".join(step) for step in steps())
    trained = "spec/trained/mct_small.safetensors"
    assert built == f"build spec/mct_small.mct --weights {trained} --tokens spec/trained/pieces.model"
    assert hear == "run build/mct_small mctc/audio/data/speech.flac"
    assert verify == f"verify build/mct_small --weights {trained} --input noise --input silence"
