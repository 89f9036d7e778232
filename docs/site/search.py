"""How the site's search divides text into words: a code such as ANE-CV-001 is one word, and so is each of its parts."""

from __future__ import annotations

import re
from typing import Any

WORD = re.compile(r"\w+(?:-\w+)*")
SPLIT_QUERY = (
    r"var splitQuery = (query) => query.match(/[\p{Letter}\p{Number}_]+(?:-[\p{Letter}\p{Number}_]+)*/gu) ?? [];"
)
"""The same for what a reader types, in the page's own script: a code is looked up whole."""


def words(text: str) -> list[str]:
    """The words of a text, those with hyphens followed by their parts."""
    found = WORD.findall(text)
    return [word for each in found for word in ([each, *each.split("-")] if "-" in each else [each])]


def search_language() -> Any:
    """English, as Sphinx's search takes it."""
    from sphinx.search.en import SearchEnglish

    split = staticmethod(words)
    return type("SearchCodes", (SearchEnglish,), {"split": split, "js_splitter_code": SPLIT_QUERY})
