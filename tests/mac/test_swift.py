"""The emitted Swift package on a Mac: Apple's own frameworks, the package's own tests, and a recording."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile as sf

from mctc.audio import bundled_recording, load_audio
from mctc.decode.settings import Settings
from mctc.driver import BuildOptions, build
from tests.targets.swift.checks import RATE, Proof, frames, record_of
from tests.targets.swift.toolchain import find_toolchain
from tests.targets.swift.workspace import Workspace, prepare

ALIKE = 0.9  # of the labels: Core ML adds in other orders than the evaluator


@pytest.fixture(scope="module")
def compiled(apple_silicon: None, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    toolchain = find_toolchain()
    if toolchain is None:
        pytest.skip("needs Xcode's Swift")
    given, folder = root / "spec/trained", tmp_path_factory.mktemp("swift")
    options = BuildOptions(target="swift", weights=given / "mct_tiny.safetensors", tokens=given / "pieces.model")
    build(root / "spec/mct_tiny.mct", folder / "tiny", options)
    made = prepare(toolchain, folder / "tiny", folder, "release")
    made.build("proof")
    made.build(made.product)
    return made


def test_frames_by_apples_vdsp_are_those_of_training(compiled: Workspace, tmp_path: Path) -> None:
    frames(Proof(compiled, tmp_path, tmp_path, tmp_path))


def test_a_recording_is_heard_in_core_ml(compiled: Workspace, tmp_path: Path) -> None:
    sound = load_audio(bundled_recording())
    sf.write(tmp_path / "speech.wav", sound, RATE, subtype="FLOAT")
    (record,) = compiled.transcribe([tmp_path / "speech.wav"], tmp_path / "cache")
    expected = record_of(compiled.folder.parent / "tiny", sound, Settings())
    found, wanted = ([each["token"] for each in told["tokens"]] for told in (record, expected))
    same = sum(one == other for one, other in zip(found, wanted))
    assert same >= ALIKE * max(len(found), len(wanted)), record["text"]


def test_the_tests_of_the_package_pass(compiled: Workspace) -> None:
    compiled.toolchain.run("swift", "test", at=compiled.folder)
