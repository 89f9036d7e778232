"""Festival in a process of its own: what comes of texts that end it, or of which it writes nothing."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from corpus.festival import PROGRAM, Festival
from corpus.voice import Manner

# Stands in for the program: it says one second of each text, none of "mute", and ends in the middle of "broken".
STAND_IN = """#!{python}
import re, sys, wave
for text, path in re.findall(r'SynthText "([^"]*)".*?utt.save.wave said "([^"]*)"', sys.stdin.read(), re.S):
    if text == "broken":
        open(path, "wb").write(b"RIFF")
        sys.exit(1)
    if text == "mute":
        open(path, "wb").close()
        continue
    with wave.open(path, "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(16000)
        file.writeframes(bytes(2 * 16000))
"""


@pytest.fixture
def festival(tmp_path: Path) -> Festival:
    program = tmp_path / PROGRAM
    program.parent.mkdir(parents=True)
    program.write_text(STAND_IN.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return Festival(tmp_path, tmp_path)


def test_texts_that_end_festival_or_of_which_it_writes_nothing_are_unsaid(festival: Festival) -> None:
    texts = ["one", "mute", "broken", "two"]
    said = list(festival.speak([(text, Manner("kal")) for text in texts]))
    assert [each and each.samples.size for each in said] == [16000, None, None, 16000]


@pytest.mark.parametrize("text", ["broken", "mute"])
def test_festival_that_says_no_text_at_all_is_an_error(festival: Festival, text: str) -> None:
    with pytest.raises(RuntimeError, match=f"festival says none of 1 texts, '{text}' for one"):
        list(festival.speak([(text, Manner("kal"))]))
