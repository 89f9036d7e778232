"""Sets to score with: which prompts of a person are taken."""

from __future__ import annotations

import gzip
from pathlib import Path

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
