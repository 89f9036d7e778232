"""Sets to score with: which prompts of a person are taken, and how many sentences are written."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from bench import synthetic_set
from bench.asterisk_prompts import prompts
from corpus.prompts import LIST


def test_prompts_are_those_that_are_all_words(tmp_path: Path) -> None:
    sounds = tmp_path / "usr/share/asterisk/sounds/en_US_x"
    (sounds / "digits").mkdir(parents=True)
    for name in ("hello", "beep", "digits/7", "no-text", "star", "vm/x"):
        (sounds / name).parent.mkdir(exist_ok=True)
        (sounds / f"{name}.wav").touch()
    text = "; prompts\nhello: Hello: you.\nbeep: [a tone]\ndigits/7: 7\nstar: Press *.\nvm/x: Bye.\nno-sound: No.\n"
    (tmp_path / LIST).parent.mkdir(parents=True)
    (tmp_path / LIST).write_bytes(gzip.compress(text.encode()))
    found = {each["id"]: (each["text"], Path(each["audio_filepath"]).name) for each in prompts(tmp_path)}
    assert found == {"hello": ("Hello: you.", "hello.wav"), "vm/x": ("Bye.", "x.wav")}


def test_fewer_short_sentences_than_were_asked_for_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(synthetic_set.synthesis, "sentences", lambda count, seed: ["good morning", "one two three"])
    with pytest.raises(SystemExit, match="of 10 sentences only 1 are as short as 2 words"):
        synthetic_set.write(tmp_path, 2, 7, 2)
