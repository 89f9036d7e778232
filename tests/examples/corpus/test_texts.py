"""Sentences of dictionaries and fortunes."""

from __future__ import annotations

import gzip
from pathlib import Path

from corpus.texts import DICTIONARY, FORTUNES, MOST_WORDS, for_tests, sentences
from corpus.words import words

ENTRIES = r"""
Boat \Boat\, n. [OE. boot.]
   1. A {small} vessel that goes
      by oars. [1913 Webster]
      --Shak.

   A boat: "the small vessel was
   a boat"; a coinage of zyxa.

   A small boat is a vessel.  A SMALL BOAT IS LOUD.  A boat was a boat (a vessel).
"""
FORTUNE = "A small vessel was a boat.\n\t\t-- Nobody\n%\nA boat is small.\n"


def test_sentences_are_unwrapped_and_those_of_rare_words_left_out(tmp_path: Path) -> None:
    path, fortunes = tmp_path / DICTIONARY.format("gcide"), tmp_path / FORTUNES
    path.parent.mkdir(parents=True)
    fortunes.mkdir(parents=True)
    path.write_bytes(gzip.compress((ENTRIES + 3 * "\n\nThe oars that goes by, goes by.").encode()))
    (fortunes / "wisdom").write_text(FORTUNE + "%\nThat is by the oars, that goes.\n%\nBy oars that goes the boat.\n")
    (fortunes / "wisdom.dat").write_bytes(b"\0\1")
    (fortunes / "ascii-art").write_text("A boat is a vessel.")
    found = sentences(tmp_path)
    assert {"a small boat is a vessel.", "a boat was a boat, a vessel.", "by oars that goes the boat."} <= set(found)
    assert {"boat, a small vessel that goes by oars.", "the small vessel was a boat."} <= set(found)
    assert not [text for text in found if "zyxa" in text or "loud" in text or "shak" in text]
    assert len({words(text) for text in found}) == len(found)
    assert found == sorted(found)


def test_sentences_too_long_for_training_are_kept_for_tests_unless_one_of_training_is_in_them(tmp_path: Path) -> None:
    fortunes = tmp_path / FORTUNES
    fortunes.mkdir(parents=True)
    apart = " ".join(["the boat", *["and then the sea"] * 5, "again"])
    within = " ".join(["the boat is on the sea", *["and the boat"] * 5, "again now"])
    longest = " ".join(["the boat"] * 14)
    known = [
        "the boat is on the sea",
        *(f"{first} and then the boat is on the sea again now" for first in ("now", "then", "again")),
    ]
    (fortunes / "wisdom").write_text("\n%\n".join(f"{text.capitalize()}." for text in (*known, apart, within, longest)))
    found = sentences(tmp_path)
    assert [text for text in found if for_tests(text)] == [f"{apart}."]
    assert all(len(text.split()) <= MOST_WORDS for text in found if text != f"{apart}.")
    assert "the boat is on the sea." in found
