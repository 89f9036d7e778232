"""Headings and links of a Markdown text, code left alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

FENCE = re.compile(r"^\s*(```+|~~~+)")
HEADING = re.compile(r"^(#{1,6}) (.*?)\s*$")
LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Heading:
    """`line` counts from 0; `title` is Markdown."""

    line: int
    level: int
    title: str

    @property
    def anchor(self) -> str:
        return anchor(self.title)


def anchor(title: str) -> str:
    """What links to a heading name, as repository browsers and MyST form it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Numbers and texts of the lines outside of fenced code."""
    fence = ""
    for number, line in enumerate(text.splitlines()):
        found = FENCE.match(line)
        if fence:
            if found and found[1].startswith(fence):
                fence = ""
        elif found:
            fence = found[1]
        else:
            yield number, line


def headings(text: str) -> list[Heading]:
    return [Heading(n, len(found[1]), found[2]) for n, line in prose(text) if (found := HEADING.match(line))]


def links(text: str) -> Iterator[tuple[int, str]]:
    """Lines, counted from 1, and targets of all links."""
    for number, line in prose(text):
        for part in line.split("`")[::2]:
            yield from ((number + 1, found[1]) for found in LINK.finditer(part))


def with_links(text: str, change: Callable[[str], str]) -> str:
    """The text with every link's target changed."""
    lines = text.splitlines()
    for number, line in prose(text):
        parts = line.split("`")
        parts[::2] = [LINK.sub(lambda found: f"]({change(found[1])})", part) for part in parts[::2]]
        lines[number] = "`".join(parts)
    return "\n".join(lines) + "\n"
