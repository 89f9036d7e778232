"""RHVoice's folder: what is taken of it, and what it may not lack."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus.__main__ import main
from corpus.rhvoice import files, refuse_incomplete

NEEDED = ("libRHVoice.so", "data/languages/English/language.info")
VOICE = ("voice.info", "24000/voice.data")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Empty files as RHVoice has them, with another language and voice."""
    root = tmp_path / "rhvoice"
    voices = [f"data/voices/{name}/{path}" for name in ("bdl", "clb", "ksp", "talgat") for path in VOICE]
    for name in (*NEEDED, *voices, "data/languages/Tatar/language.info", "data/voices/bdl/16000/voice.data"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_voices_of_the_corpus_are_taken_at_one_rate_and_no_others(folder: Path) -> None:
    taken = [path.relative_to(folder).as_posix() for path in files(folder)]
    assert taken == [*NEEDED, *(f"data/voices/{name}/{path}" for name in ("bdl", "clb", "ksp") for path in VOICE)]


@pytest.mark.parametrize("name", [*NEEDED, "data/voices/ksp/24000/voice.data"])
def test_what_is_missing_is_told_before_anything_is_fetched(folder: Path, name: str) -> None:
    refuse_incomplete(folder)
    (folder / name).unlink()
    with pytest.raises(SystemExit, match=f"rhvoice has no {name} "):
        main(["fetch", str(folder.parent / "inputs.tar.xz"), "--rhvoice", str(folder)])
    assert [path.name for path in folder.parent.iterdir()] == ["rhvoice"]
