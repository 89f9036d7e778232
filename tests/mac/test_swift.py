"""The emitted Swift package on a Mac: Apple's own frameworks, the package's own tests, and a recording.

`.ci/swift` runs the same tests with stand-ins for the frameworks, so a Mac is the first to show the frameworks alone.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path

import pytest
import soundfile as sf

from mctc.audio import bundled_recording, load_audio
from mctc.decode.settings import Settings
from tests.targets.swift.builds import make_builds
from tests.targets.swift.checks import Proof, frames
from tests.targets.swift.expected import RATE, record_of
from tests.targets.swift.toolchain import find_toolchain
from tests.targets.swift.workspace import prepare_proof

pytestmark = pytest.mark.slow
ALIKE = 0.9 if sys.platform == "darwin" else 1.0  # of the labels: Core ML adds in other orders than the evaluator


@pytest.fixture(scope="module")
def compiled(
    root: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Proof]:  # fmt: skip
    """The package of the trained model, optimised."""
    if sys.platform == "darwin":
        request.getfixturevalue("apple_silicon")
    toolchain = find_toolchain()
    if toolchain is None:
        pytest.skip("needs Swift 6: Xcode's, or .ci/swift's")
    place = toolchain.workspace()
    try:
        builds = make_builds(root, tmp_path_factory.mktemp("swift"))
        made = prepare_proof(toolchain, builds.trained, builds.features, place, optimised=True)
        made.build("proof")
        made.build(made.product)
        yield Proof(made, builds, tmp_path_factory.mktemp("proof"))
    finally:
        shutil.rmtree(place, ignore_errors=True)


def test_frames_are_those_of_training(compiled: Proof) -> None:
    frames(compiled)


def test_a_recording_is_heard_in_core_ml(compiled: Proof) -> None:
    sound, path = load_audio(bundled_recording()), compiled.folder / "speech.wav"
    sf.write(path, sound, RATE, subtype="FLOAT")
    (record,) = compiled.workspace.transcribe([path], compiled.folder / "cache")
    expected = record_of(compiled.builds.trained, sound, Settings())
    found, wanted = ([each["token"] for each in told["tokens"]] for told in (record, expected))
    assert SequenceMatcher(None, found, wanted, autojunk=False).ratio() >= ALIKE, record["text"]


def test_the_tests_of_the_package_pass(compiled: Proof) -> None:
    compiled.workspace.test()
