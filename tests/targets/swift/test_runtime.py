"""An emitted package, compiled and executed, against mctc. Takes Swift (`.ci/swift`)."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile as sf

from tests.targets.swift.checks import CHECKS, Proof
from tests.targets.swift.expected import RATE

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", CHECKS)
def test_the_package_agrees_with_mctc(name: str, proof: Proof) -> None:
    CHECKS[name](proof)


def test_the_tests_of_the_package_pass(proof: Proof) -> None:
    proof.workspace.test()


def test_the_text_is_formatted_and_lints(proof: Proof) -> None:
    words = ("swift", "format", "lint", "--strict", "-r", "Sources", "Tests", "App")
    done = proof.workspace.toolchain.run(*words, at=proof.workspace.folder)
    assert not done.stdout + done.stderr


def test_the_tool_tells_what_it_cannot_hear(proof: Proof) -> None:
    path = proof.folder / "text.wav"
    path.write_text("no sound")
    with pytest.raises(AssertionError, match="is no WAV file"):
        proof.workspace.transcribe([path], proof.folder / "cache")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--search", "best"], "usage"), (["--beam", "many"], "usage"), (["--window"], "usage"), ([], "usage"),
        (["--durations", "1,x"], "usage"), (["--hotword", "harbor", "SOUND"], "take a beam"),
        (["--search", "beam", "--beam", "0", "SOUND"], "beam must be at least 1"), (["missing.wav"], "missing.wav"),
        (["--chunk", "0.1", "SOUND"], r"can't be called every 0\.1 seconds\. It has 0\.32 s"),
        (["SLOW"], "has 8000 samples a second, not 16000"), (["CUT"], "holds no samples"),
        (["--ngram", "missing.arpa=1", "SOUND"], "missing.arpa"),
    ],
)  # fmt: skip
def test_the_tool_tells_what_is_wrong(options: list[str], told: str, proof: Proof) -> None:
    places = {name: proof.folder / f"{name}.wav" for name in ("SOUND", "SLOW", "CUT")}
    for name, rate in (("SOUND", RATE), ("SLOW", 8000)):
        sf.write(places[name], np.zeros(800), rate, subtype="PCM_16")
    places["CUT"].write_bytes(places["SOUND"].read_bytes()[:30])
    words = ["--model", str(proof.workspace.model), "--cache", str(proof.folder / "cache")]
    with pytest.raises(AssertionError, match=told):
        proof.workspace.run(proof.workspace.product, *words, *(str(places.get(each, each)) for each in options))


def test_damage_is_told(proof: Proof) -> None:
    model = proof.folder / "Damaged"
    model.mkdir()
    described = json.loads((proof.workspace.model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps({**described, "digest": "another"}))
    with pytest.raises(AssertionError, match=r"mlpackage is missing\. Add the emitted package again"):
        proof.workspace.run(proof.workspace.product, "--model", str(model), "x.wav", "--cache", str(proof.folder))
