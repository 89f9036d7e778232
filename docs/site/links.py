"""Links of the built site: each leads to a page, file or anchor that exists, and no page loads from another host."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
"""What a page loads by itself, as opposed to what a reader follows."""


class _Page(HTMLParser):
    """Anchors of a page, and its links: tag and target."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.anchors: set[str] = set()
        self.links: set[tuple[str, str]] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors |= {value for name in ("id", "name") if (value := values.get(name))}
        target = values.get(LOADED.get(tag, "href" if tag == "a" else ""))
        if target and not target.startswith("data:"):
            self.links.add((tag, target))


def dead_links(folder: Path) -> list[str]:
    """A line for every link of the HTML files in a folder that leads nowhere, or loads from another host."""
    pages = {file.resolve(): _Page(file.read_text(encoding="utf-8")) for file in sorted(folder.rglob("*.html"))}
    found = (f"{file.relative_to(folder.resolve())}: {why}" for file in pages for why in _dead(file, pages))
    return sorted(set(found))


def _dead(file: Path, pages: dict[Path, _Page]) -> Iterator[str]:
    for tag, target in pages[file].links:
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            if tag in LOADED:
                yield f"{target} is loaded from another host"
            continue
        place = (file.parent / unquote(parts.path)).resolve() if parts.path else file
        if not place.is_file():
            yield f"{target} leads nowhere"
        elif parts.fragment and place in pages and unquote(parts.fragment) not in pages[place].anchors:
            yield f"{target}: there is no such anchor"
