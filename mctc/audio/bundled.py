"""The speech recording that ships with the package, so that a first run needs no file of one's own."""

from __future__ import annotations

from pathlib import Path

from mctc.audio.errors import AudioError

_DATA = Path(__file__).parent / "data"


def bundled_recording() -> Path:
    """The path of about eleven seconds of English speech: FLAC, 16 kHz, mono, 16 bit.

    Made with espeak-ng by `examples/audio/make_speech.sh`. Raises `AudioError` where the installation lacks the file.
    """
    return _present(_DATA / "speech.flac")


def bundled_text() -> str:
    """The words spoken in `bundled_recording`, one sentence a line."""
    return _present(_DATA / "speech.txt").read_text(encoding="utf-8").strip()


def _present(path: Path) -> Path:
    if not path.is_file():
        raise AudioError(path, "the bundled recording is not in this installation", "install mctc again from its wheel")
    return path
