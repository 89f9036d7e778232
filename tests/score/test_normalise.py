"""Texts are compared without what is written and not said."""

from __future__ import annotations

import sys

import pytest

from mctc.score.errors import ScoreError
from mctc.score.normalise import normaliser, simple, spaces


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Good morning, world!", "good morning world"),
        ("Don\u2019t  'quote' rock'n'roll", "don't quote rock'n'roll"),
        ("\ufb01ne \uff21\uff22_d", "fine ab d"),
        ("Größe: 3,5 €", "größe 3 5"),
        ("\u4f60\u597d\uff0c\u4e16\u754c", "\u4f60\u597d \u4e16\u754c"),
        ("...", ""),
    ],
    ids=["marks", "apostrophes", "compatible forms", "numbers", "other scripts", "nothing left"],
)
def test_the_simple_form(text: str, expected: str) -> None:
    assert simple(text) == expected
    assert simple(expected) == expected


def test_without_a_form_spaces_alone_are_mended() -> None:
    assert spaces(" A,  b\n") == "A, b"
    assert normaliser("none") is spaces


def test_the_librarys_forms() -> None:
    pytest.importorskip("whisper_normalizer")
    assert normaliser("english")("Mr. Smith's colour isn't  bad") == "mister smith is color is not bad"
    assert normaliser("basic")("Größe, [laughs] ja") == "größe ja"


def test_a_missing_library_is_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "whisper_normalizer.basic", None)
    with pytest.raises(ScoreError, match="whisper-normalizer") as raised:
        normaliser("english")
    assert "mctc[score]" in str(raised.value.hint)
    assert "--normaliser simple" in str(raised.value.hint)
