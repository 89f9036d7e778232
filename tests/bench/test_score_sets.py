"""Sets to score with: where words of synthetic speech end, and which prompts of a person are taken."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from bench.asterisk_prompts import LIST, prompts
from bench.synthesis import EDGE_S, word_ends


def test_a_word_ends_where_the_next_begins_and_the_last_with_the_sound() -> None:
    said = np.concatenate([np.ones(1500, np.float32), np.zeros(500, np.float32)])
    ends = word_ends("in the sea", {0: 0.0, 7: 0.75}, said, 1000)
    assert ends == (None, EDGE_S + 0.75, EDGE_S + 1.5)
    assert word_ends("a", {0: 0.0}, 0 * said, 1000) == (None,)


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
