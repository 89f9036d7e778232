"""Texts of the corpus: written numbers and marks become what is said, and what has no one reading is left out."""

from __future__ import annotations

import pytest

from corpus.words import number, sayable, words, year
from mctc.score.normalise import simple


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "zero"), (21, "twenty one"), (100, "one hundred"), (1984, "one thousand nine hundred eighty four"),
     (999_999, "nine hundred ninety nine thousand nine hundred ninety nine"), (2_000_000, "two million")],
)  # fmt: skip
def test_numbers_are_counted(value: int, said: str) -> None:
    assert number(value) == said


def test_years_are_said_in_pairs() -> None:
    assert [year(each) for each in (1900, 1906, 1984)] == [
        "nineteen hundred",
        "nineteen oh six",
        "nineteen eighty four",
    ]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("In 1906 Mr. Smith's 12 dogs (or 9) ran.", "in nineteen oh six mister smith's twelve dogs, or nine, ran."),
        ("'Tis well-known -- isn't it?", "tis well known, isn't it?"),
        (", a measure of length;", "a measure of length."),
        ("The \u201cold\u201d sea", "the old sea."),
    ],
)  # fmt: skip
def test_a_sentence_is_written_as_it_is_said(written: str, said: str) -> None:
    assert sayable(written) == said
    assert words(said) == simple(said)
    assert len(said.split()) == len(words(said).split())


@pytest.mark.parametrize(
    "written",
    ["NASA flew.", "The U.S. is.", "It cost 3.5 dollars.", "50% of it.", "See fig 3.", "An \u03b1 ray.", "Write x.",
     "Hmm pfft.", "A McDonald.", ""],
)  # fmt: skip
def test_what_has_no_one_reading_is_left_out(written: str) -> None:
    assert sayable(written) is None
