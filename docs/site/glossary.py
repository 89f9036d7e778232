"""The glossary: its terms, and links to them from the first place on a page that uses one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from docs.site.doctree import link_prose
from docs.site.markdown import anchor, headings, prose

GLOSSARY = Path(__file__).resolve().parent.parent / "glossary.md"
ALSO = re.compile(r"^Also: (.*)\.$", re.MULTILINE)
VERBS = frozenset({"pass", "state", "step", "target"})
"""Terms that are linked behind an article alone, because the word is a verb too."""
ARTICLE = r"(?:(?<=\ba )|(?<=\bthe )|(?<=\beach )|(?<=\bevery ))"
PAGE = "glossary"
LEVEL = 3
"""Terms are headings of this level; those above are subjects."""


@dataclass(frozen=True)
class Term:
    """`names` are the spellings that are linked; the first is the heading."""

    names: tuple[str, ...]
    text: str

    @property
    def anchor(self) -> str:
        return anchor(self.names[0])


def terms(text: str) -> list[Term]:
    """The terms of a glossary's Markdown."""
    lines, found = text.splitlines(), headings(text)
    ends = [each.line for each in found[1:]] + [len(lines)]
    made = []
    for heading, end in zip(found, ends, strict=True):
        if heading.level == LEVEL:
            body = "\n".join(lines[heading.line + 1 : end]).strip()
            also = ALSO.search(body)
            made.append(Term((heading.title, *(also[1].split(", ") if also else ())), body))
    return made


def pattern(known: list[Term]) -> re.Pattern[str]:
    """Matches any spelling of any term as whole words, in the plural too; a longer spelling goes first."""
    names = sorted((name for term in known for name in term.names), key=len, reverse=True)
    return re.compile(rf"(?<![\w-])({'|'.join(map(_spelled, names))})(?:e?s)?(?![\w-])")


def used(text: str, known: list[Term]) -> set[str]:
    """Anchors of the terms that the prose of a Markdown text uses."""
    matches, anchors = pattern(known), _anchors(known)
    parts = (part for _, line in prose(text) for part in line.split("`")[::2])
    return {term_of(found, anchors) for part in parts for found in matches.finditer(part)}


def _spelled(name: str) -> str:
    """The first letter of an ordinary word may be a capital one, at the beginning of a sentence."""
    first = name[0]
    start = f"[{first}{first.upper()}]" if first.islower() else re.escape(first)
    return (ARTICLE if name in VERBS else "") + start + re.escape(name[1:]).replace(r"\ ", r"\s+")


@cache
def _index() -> tuple[re.Pattern[str], dict[str, str]]:
    """What matches the terms of docs/glossary.md, and the anchor of each spelling in lower case."""
    known = terms(GLOSSARY.read_text(encoding="utf-8"))
    return pattern(known), _anchors(known)


def _anchors(known: list[Term]) -> dict[str, str]:
    return {name.lower(): term.anchor for term in known for name in term.names}


def term_of(found: re.Match[str], anchors: dict[str, str]) -> str:
    """The anchor of the term that was matched. Raises KeyError for one that is not among `anchors`."""
    return anchors[" ".join(found[1].lower().split())]


def link_terms(app: Any, doctree: Any, page: str) -> None:
    """Links the first use of every term in the prose of a page to the glossary: Sphinx calls it for each page."""
    matches, anchors = _index()
    glossary = "" if page == PAGE else app.builder.get_relative_uri(page, PAGE)
    linked: set[tuple[str, str]] = set()

    def address(found: re.Match[str], above: list[str]) -> str | None:
        to = term_of(found, anchors)
        use = (to, above[0] if page == PAGE and above else "")  # in the glossary, the first use in each entry
        if use in linked or to in above:
            return None
        linked.add(use)
        return f"{glossary}#{to}"

    if not page.startswith("source/"):
        link_prose(doctree, matches, address, "term")
