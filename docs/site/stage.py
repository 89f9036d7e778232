"""The pages that Sphinx is given: guides, catalogues and linked files of the repository, all links between pages."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from docs.site.catalogues import CATALOGUES, SITE, cut, plain_ops
from docs.site.markdown import with_links
from docs.site.navigation import GUIDES, HOME, ROOT, navigation, site_path, toctrees
from docs.site.sources import FOLDER, source_page

IMAGES = (".png", ".svg")
ELSEWHERE = ("https://", "http://", "mailto:")


@dataclass(frozen=True)
class Page:
    """Markdown of the page `site`, with links as they are written in the repository's file `origin`."""

    site: str
    origin: str
    text: str

    def head(self, places: Places) -> str:
        """What tells Sphinx that a page is in no list of the navigation, and which guide it belongs to."""
        guide = places.pages[self.origin]
        return "" if guide == self.site else f"---\norphan: true\nguide: {guide.removesuffix('.md')}\n---\n\n"


@dataclass
class Places:
    """Where links lead: `pages` holds the site path of a repository path, `moved` the page that took the place of a
    heading in a repository path. Files that have neither are collected in `sources` and `images`."""

    pages: dict[str, str]
    moved: dict[tuple[str, str], str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    images: set[str] = field(default_factory=set)

    def of(self, path: str) -> str:
        """The site path of a file or folder of the repository. Raises FileNotFoundError where there is none."""
        place = ROOT / path
        if path in self.pages:
            return self.pages[path]
        if f"{path}/{HOME}" in self.pages:
            return self.pages[f"{path}/{HOME}"]
        if not place.exists() or not place.resolve().is_relative_to(ROOT):
            raise FileNotFoundError(path)
        if place.suffix in IMAGES:
            self.images.add(path)
            return path.removeprefix(f"{GUIDES}/")
        return self.sources.setdefault(path, f"source/{path}/{FOLDER}.md" if place.is_dir() else f"source/{path}.md")


def pages(places: Places) -> list[Page]:
    """The guides in the order of the navigation, then a page for every entry of the catalogues."""
    texts = {path: (ROOT / path).read_text(encoding="utf-8") for path in places.pages}
    entries: list[Page] = []
    for catalogue in CATALOGUES:
        path = f"{GUIDES}/{catalogue.guide}"
        texts[path], found = cut(catalogue)
        found += plain_ops({entry.path for entry in found}) if catalogue.guide == "ops.md" else []
        entries += [Page(f"{entry.path}.md", path, entry.text) for entry in found]
        places.moved |= {(path, entry.anchor): f"{entry.path}.md" for entry in found if entry.anchor}
    texts[HOME] += toctrees()
    return [*(Page(places.pages[path], path, text) for path, text in texts.items()), *entries]


def linked(page: Page, places: Places) -> str:
    """The text of a page with its links between pages of the site. Raises FileNotFoundError for a dead one."""

    def change(target: str) -> str:
        if target.startswith(ELSEWHERE):
            return target
        if target.startswith(SITE):
            return relative(target.removeprefix(SITE))
        file, _, anchor = target.partition("#")
        path = os.path.normpath(Path(page.origin).parent / file) if file else page.origin
        if (path, anchor) in places.moved:
            return relative(places.moved[path, anchor])
        site = places.of(path)
        return ("" if site == page.site else relative(site)) + (f"#{anchor}" if anchor else "")

    def relative(site: str) -> str:
        return os.path.relpath(site, Path(page.site).parent)

    try:
        return with_links(page.text, change)
    except FileNotFoundError as missing:
        raise FileNotFoundError(f"{page.origin} links to {missing}, which does not exist") from None


def stage(folder: Path) -> int:
    """Writes all pages into a folder that does not exist yet. Returns how many there are."""
    guides = [HOME, *(page for section in navigation() for page in section.pages)]
    places = Places({path: site_path(path) for path in guides})
    made = {page.site: page.head(places) + linked(page, places) for page in pages(places)}
    made |= {site: source_page(ROOT, path) for path, site in places.sources.items()}
    for site, text in made.items():
        (folder / site).parent.mkdir(parents=True, exist_ok=True)
        (folder / site).write_text(text, encoding="utf-8")
    for path in places.images:
        place = folder / path.removeprefix(f"{GUIDES}/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, place)
    return len(made)
