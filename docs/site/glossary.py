"""The glossary: its terms, and links to them from the first place on a page that uses one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from docs.site.markdown import anchor, headings, prose

GLOSSARY = Path(__file__).resolve().parent.parent / "glossary.md"
ALSO = re.compile(r"^Also: (.*)\.$", re.MULTILINE)
VERBS = frozenset({"pass", "state", "step", "target"})
"""Terms that are linked behind an article alone, because the word is a verb too."""
ARTICLE = r"(?:(?<=\ba )|(?<=\bthe )|(?<=\beach )|(?<=\bevery ))"
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
    from docutils import nodes

    if page.startswith("source/"):
        return
    matches, anchors = _index()
    linked: set[str] = set()
    passed = (nodes.reference, nodes.literal, nodes.literal_block, nodes.title, nodes.raw, nodes.comment)
    for text in list(doctree.findall(nodes.Text)):
        if any(isinstance(each, passed) for each in _above(text)):
            continue
        own = _own_term(text) if page == "glossary" else None
        pieces: list[Any] = []
        at, content = 0, str(text)
        for found in matches.finditer(content):
            to = term_of(found, anchors)
            if to == own or (page != "glossary" and to in linked):
                continue
            linked.add(to)
            address = f"{'' if page == 'glossary' else app.builder.get_relative_uri(page, 'glossary')}#{to}"
            link = nodes.reference("", "", nodes.Text(found[0]), refuri=address, internal=True, classes=["term"])
            pieces += [nodes.Text(content[at : found.start()]), link]
            at = found.end()
        if pieces:
            text.parent.replace(text, [*pieces, nodes.Text(content[at:])])


def _above(node: Any) -> list[Any]:
    found = []
    while node.parent is not None:
        node = node.parent
        found.append(node)
    return found


def _own_term(node: Any) -> str | None:
    """The anchor of the term whose text a node of the glossary's page is in."""
    sections = [each for each in _above(node) if each.tagname == "section"]
    return str(sections[0]["ids"][0]) if sections else None
