"""What the corpus is made of, as it was fetched."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from corpus.inputs import SENTENCES, Inputs, unpacked


def test_an_archive_is_unpacked_whole_and_once(tmp_path: Path) -> None:
    (tmp_path / SENTENCES).write_text("a boat.\nthe sea.\n")
    with tarfile.open(tmp_path / "inputs.tar.xz", "w:xz") as packed:
        packed.add(tmp_path / SENTENCES, SENTENCES)
    left = tmp_path / "inputs.part"
    left.mkdir()
    (left / "half").touch()
    root = unpacked(tmp_path / "inputs.tar.xz", tmp_path / "inputs")
    assert [path.name for path in root.iterdir()] == [SENTENCES]
    assert Inputs(root).sentences(1, 0) == ["a boat.", "the sea."]
    (tmp_path / "inputs.tar.xz").unlink()
    assert unpacked(tmp_path / "inputs.tar.xz", tmp_path / "inputs") == root


@pytest.mark.parametrize("damage", [lambda text: text[:-200], lambda text: b"junk", lambda text: b""])
def test_half_an_archive_is_an_error_and_leaves_nothing(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    (tmp_path / SENTENCES).write_bytes(np.random.default_rng(0).bytes(5000))
    with tarfile.open(tmp_path / "inputs.tar.xz", "w:xz") as packed:
        packed.add(tmp_path / SENTENCES, SENTENCES)
    half = tmp_path / "half.tar.xz"
    half.write_bytes(damage((tmp_path / "inputs.tar.xz").read_bytes()))
    with pytest.raises(ValueError, match=r"half.tar.xz is no whole archive; `fetch` writes one"):
        unpacked(half, tmp_path / "inputs")
    assert not list(tmp_path.glob("inputs*.part"))
    assert not (tmp_path / "inputs").exists()


def test_what_was_not_fetched_does_not_speak(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    assert inputs.engines() == {}
    assert inputs.prompts() == []
    (tmp_path / "espeak").mkdir()
    assert [*inputs.engines()] == ["espeak"]
    (tmp_path / "pico").mkdir()
    assert [*inputs.engines()] == ["espeak"]
    (tmp_path / "pico/libpico.so").touch()
    assert [*inputs.engines()] == ["espeak", "pico"]
    (tmp_path / "rhvoice").mkdir()
    (tmp_path / "rhvoice/libRHVoice.so").touch()
    assert [*inputs.engines()] == ["espeak", "pico", "rhvoice"]


def test_a_grammar_speaks_of_as_much_as_asked() -> None:
    assert len(set(Inputs(None).sentences(1, 12))) == 12
