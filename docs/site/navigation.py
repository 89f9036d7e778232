"""The navigation, from navigation.toml: which guides the site has, where they stand, and the list beside every page."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from html import escape
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent.parent
GUIDES = "docs"
HOME = "README.md"


@dataclass(frozen=True)
class Section:
    """A part of the navigation. `pages` are paths in the repository."""

    title: str
    pages: tuple[str, ...]


@cache
def navigation() -> tuple[Section, ...]:
    """The sections of navigation.toml."""
    data = tomllib.loads((Path(__file__).parent / "navigation.toml").read_text(encoding="utf-8"))
    return tuple(Section(each["title"], tuple(each["pages"])) for each in data["section"])


def site_path(path: str) -> str:
    """Where a guide stands on the site: docs/ir.md as ir.md, the README of an example as examples/NAME.md."""
    if path == HOME:
        return "index.md"
    return f"{Path(path).parent}.md" if Path(path).name == HOME else path.removeprefix(f"{GUIDES}/").lower()


def toctrees() -> str:
    """The navigation as Sphinx reads it, at the end of the first page: it gives the order of the pages."""
    parts = []
    for section in navigation():
        listed = "\n".join(f"/{site_path(path)}" for path in section.pages)
        parts.append(f"\n```{{toctree}}\n:hidden:\n:caption: {section.title}\n\n{listed}\n```\n")
    return "".join(parts)


def give_sidebar(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Gives a page's template the list of guides: Sphinx calls it for every page.

    Sphinx's own list is the same. It copies the headings of all guides for each page, which takes half of a build.
    """
    guide = (context.get("meta") or {}).get("guide", page)
    context["toctree"] = lambda **_: "\n".join(
        _list(app.env.titles, guide, partial(app.builder.get_relative_uri, page))
    )


def _list(titles: Any, current: str, address: Any) -> Iterator[str]:
    for section in navigation():
        yield f'<p class="caption" role="heading"><span class="caption-text">{escape(section.title)}</span></p><ul>'
        for path in section.pages:
            name = site_path(path).removesuffix(".md")
            here = " current" if name == current else ""
            title = escape(titles[name].astext())
            link = f'<a class="reference internal{here}" href="{escape(address(name))}">{title}</a>'
            yield f'<li class="toctree-l1{here}">{link}</li>'
        yield "</ul>"
