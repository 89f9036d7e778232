"""Links from the codes of rules and diagnostics in prose to their pages."""

from __future__ import annotations

import re
from typing import Any

from docs.site.doctree import link_prose

CODE = re.compile(r"\b(?:ANE-[A-Z]+-\d+[a-z]?|MPS\d{3}|MCT\d{4})\b")


def link_codes(app: Any, doctree: Any, page: str) -> None:
    """Links every code that has a page of its own, but on that page: Sphinx calls it for each page."""
    pages = app.env.found_docs

    def address(found: re.Match[str], _: list[str]) -> str | None:
        to = f"{'diagnostics' if found[0].startswith('MCT') else 'rules'}/{found[0]}"
        return str(app.builder.get_relative_uri(page, to)) if to in pages and to != page else None

    if not page.startswith("source/"):
        link_prose(doctree, CODE, address, "code-of-a-page")
