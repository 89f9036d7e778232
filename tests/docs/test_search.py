"""A code is found by the search as it is written, and by its parts."""

from __future__ import annotations

from docs.site.search import words


def test_a_code_is_one_word_and_so_is_each_of_its_parts() -> None:
    assert words("ANE-CV-001: too wide") == ["ANE-CV-001", "ANE", "CV", "001", "too", "wide"]


def test_the_hyphens_of_an_option_or_a_dash_belong_to_no_word() -> None:
    assert words("--verify-each - why") == ["verify-each", "verify", "each", "why"]
