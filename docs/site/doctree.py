"""Links that are put into the prose of a page once Sphinx has read it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Address = Callable[[re.Match[str], list[str]], str | None]
"""Where a match in the prose of a page leads, or None. The list holds the anchors of the sections around it."""


def link_prose(doctree: Any, matches: re.Pattern[str], address: Address, kind: str) -> None:
    """Links what a pattern matches in the prose of a page; code, headings and links are left alone.

    kind: the class of these links in HTML.
    """
    from docutils import nodes

    passed = (nodes.reference, nodes.literal, nodes.literal_block, nodes.title, nodes.raw, nodes.comment)
    for text in list(doctree.findall(nodes.Text)):
        above = _above(text)
        if any(isinstance(each, passed) for each in above):
            continue
        anchors = [anchor for each in above if each.tagname == "section" for anchor in each["ids"]]
        pieces: list[Any] = []
        at, content = 0, str(text)
        for found in matches.finditer(content):
            to = address(found, anchors)
            if to is not None:
                link = nodes.reference("", "", nodes.Text(found[0]), refuri=to, internal=True, classes=[kind])
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
