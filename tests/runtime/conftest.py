"""Speech for the small builds of tests/conftest.py."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds and a bit of the bundled recording: no whole number of chunks."""
    import soundfile

    from mctc.audio import bundled_recording, load_audio

    path = tmp_path_factory.mktemp("audio") / "short.wav"
    soundfile.write(path, load_audio(bundled_recording())[16_000:49_111], 16_000)
    return path
