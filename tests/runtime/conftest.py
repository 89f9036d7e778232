"""Small builds: a transducer like mct_small, one whose encoder looks ahead, and one that does not hear."""

from __future__ import annotations

from pathlib import Path

import pytest

from mctc.build import BuildOptions, build

AHEAD = Path(__file__).parent / "ahead.mct"
BARE = Path(__file__).parent / "bare.mct"


@pytest.fixture(scope="session")
def small(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    defines = {"width": 32, "depth": 2, "vocab": 30}
    folder = tmp_path_factory.mktemp("build") / "small"
    build(root / "spec/mct_small.mct", folder, BuildOptions(defines=defines))
    return folder


@pytest.fixture(scope="session")
def ahead(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build") / "ahead"
    build(AHEAD, folder, BuildOptions())
    return folder


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build") / "bare"
    build(BARE, folder, BuildOptions())
    return folder


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds and a bit of the bundled recording: no whole number of chunks."""
    import soundfile

    from mctc.audio import bundled_recording, load_audio

    path = tmp_path_factory.mktemp("audio") / "short.wav"
    soundfile.write(path, load_audio(bundled_recording())[16_000:49_111], 16_000)
    return path
