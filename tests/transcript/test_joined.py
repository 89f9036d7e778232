"""Texts of pieces become one."""

from __future__ import annotations

import pytest

from mctc.transcript.joined import joined


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        (["one two ", " three"], "one two three"),
        (["你好", "世界"], "你好世界"),
        (["你好", "world"], "你好world"),
        (["one", "", "two"], "one two"),
        ([], ""),
    ],
)
def test_a_space_stands_between_words_alone(texts: list[str], whole: str) -> None:
    assert joined(texts) == whole
