"""The report as one HTML page that needs nothing else: what `mctc lint --html` writes.

data (reports as JSON for the page's script) · layout (where ops are drawn) · verdict (a function in a sentence) ·
prose (what a reader without JavaScript is told) · page.html, *.css, script/ (the page itself: a script a part of the
page, put one after another into one module).

Names in a package come from strangers: all that is put into the page is escaped, the script sets text and never markup,
and the page allows itself (Content-Security-Policy) its own style and script, nothing else, and no way to the network.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from markupsafe import escape

from mctc.linter.coreml.formats.page.data import as_json, data_of
from mctc.linter.coreml.formats.page.prose import prose
from mctc.linter.coreml.formats.words import ESTIMATE
from mctc.linter.coreml.report import Report, Unchecked
from mctc.version import __version__

PLACE = re.compile(r"\{\{ (\w+) \}\}")  # in page.html, of what differs from page to page
SHEETS = ("colours", "frame", "report", "graph", "window")
SCRIPTS = (
    "words", "elements", "data", "state", "summary", "findings", "colours", "drawing", "picture", "view", "pointer",
    "minimap", "graph", "panel", "table", "segments", "memory", "arithmetic", "layers", "main",
)  # fmt: skip


def render_page(reports: Sequence[Report], unchecked: Sequence[Unchecked] = ()) -> str:
    """The page for all reports, as text to write in UTF-8."""
    style = "\n\n".join(_part(f"{name}.css") for name in SHEETS)
    script = "\n".join(_part("script", f"{name}.js") for name in SCRIPTS)
    parts = {
        **prose(reports, unchecked),
        "estimate": escape(ESTIMATE),
        "version": escape(__version__),
        "style": style,
        "script": script,
        "data": as_json(data_of(reports)),
        "policy": escape(_policy(style, script)),
    }
    return PLACE.sub(lambda found: parts[found[1]], _part("page.html"))


def _part(*path: str) -> str:
    return Path(__file__).with_name(path[0]).joinpath(*path[1:]).read_text(encoding="utf-8").strip("\n")


def _policy(style: str, script: str) -> str:
    """A Content-Security-Policy for exactly this style and this script."""
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
