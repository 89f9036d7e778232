"""An emitted package, compiled and executed, against mctc. Takes Swift (`.ci/swift`)."""

from __future__ import annotations

import json

import pytest

from tests.targets.swift.checks import CHECKS, Proof

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", CHECKS)
def test_the_package_agrees_with_mctc(name: str, proof: Proof) -> None:
    CHECKS[name](proof)


def test_the_tests_of_the_package_pass(proof: Proof) -> None:
    """As by `swift test`; here the program runs outside of the toolchain's folder, beside the evaluator."""
    workspace = proof.workspace
    workspace.toolchain.run("swift", "build", "-j", "1", "--build-tests", at=workspace.folder)
    bundle = next((workspace.folder / ".build/debug").resolve().glob("*.xctest"))
    variables = {"PACKAGE_FOLDER": str(workspace.folder)}
    told = workspace.run(bundle.name, "--testing-library", "swift-testing", variables=variables, errors=True)
    assert "Test run with" in told


def test_the_text_is_formatted_and_lints(proof: Proof) -> None:
    words = ("swift", "format", "lint", "--strict", "-r", "Sources", "Tests", "App")
    done = proof.workspace.toolchain.run(*words, at=proof.workspace.folder)
    assert not done.stdout + done.stderr


def test_the_tool_tells_what_it_cannot_hear(proof: Proof) -> None:
    path = proof.folder / "text.wav"
    path.write_text("no sound")
    with pytest.raises(AssertionError, match="is no WAV file"):
        proof.workspace.transcribe([path], proof.folder / "cache")


def test_damage_is_told(proof: Proof) -> None:
    model = proof.folder / "Damaged"
    model.mkdir()
    described = json.loads((proof.workspace.model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps({**described, "digest": "another"}))
    with pytest.raises(AssertionError, match=r"mlpackage is missing\. Add the emitted package again"):
        proof.workspace.run(proof.workspace.product, "--model", str(model), "x.wav", "--cache", str(proof.folder))
