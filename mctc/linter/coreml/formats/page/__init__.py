"""The report as one HTML page that needs nothing else: what `mctc lint --html` writes.

data (reports as JSON for the page's script) · layout (where ops are drawn) · verdict (a function in a sentence) ·
page.html.j2, *.css, script/ (the page itself: a script a part of the page, put one after another into one module).

Names in a package come from strangers: the template escapes all, the script sets text and never markup, and the page
allows itself (Content-Security-Policy) its own style and script, nothing else, and no way to the network.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files

from mctc.linter.coreml.formats.layers import in_numbers
from mctc.linter.coreml.formats.page.data import as_json, data_of
from mctc.linter.coreml.formats.page.verdict import verdict
from mctc.linter.coreml.formats.words import ESTIMATE, clean, shortened, totals
from mctc.linter.coreml.report import Report, Unchecked
from mctc.version import __version__

SHEETS = ("colours", "frame", "report", "graph", "window")
SCRIPTS = (
    "words", "elements", "data", "state", "summary", "findings", "colours", "drawing", "picture", "view", "pointer",
    "minimap", "graph", "panel", "table", "segments", "memory", "arithmetic", "layers", "main",
)  # fmt: skip


def render_page(reports: Sequence[Report], unchecked: Sequence[Unchecked] = ()) -> str:
    """The page for all reports, as text to write in UTF-8."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    style = "\n\n".join(_part(f"{name}.css") for name in SHEETS)
    script = "\n".join(_part("script", f"{name}.js") for name in SCRIPTS)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(clean=clean, shortened=shortened, verdict=verdict, totals=totals, numbers=in_numbers)
    return environment.from_string(_part("page.html.j2")).render(
        reports=reports,
        unchecked=unchecked,
        estimate=ESTIMATE,
        version=__version__,
        style=Markup(style),
        script=Markup(script),
        data=Markup(as_json(data_of(reports))),
        policy=_policy(style, script),
    )


def _part(*path: str) -> str:
    return files(__name__).joinpath(*path).read_text(encoding="utf-8").strip("\n")


def _policy(style: str, script: str) -> str:
    """A Content-Security-Policy for exactly this style and this script."""
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
