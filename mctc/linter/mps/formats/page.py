"""Findings as one HTML page without a script: counts by rule, then each finding with its line and the way out."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from html import escape

from mctc.diagnostics.clean import clean
from mctc.diagnostics.diagnostic import Diagnostic
from mctc.linter.coreml.formats.artifacts import relative
from mctc.linter.coreml.formats.words import shortened
from mctc.linter.mps.formats.text import file_of, summary
from mctc.linter.mps.table import RULES
from mctc.version import __version__

WIDEST = 200  # characters of a line of code
STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; } td, th { padding: 0.2rem 0.8rem 0.2rem 0; text-align: left; vertical-align: top; }
article { border-top: 1px solid #8886; padding: 0.8rem 0; } h3 { margin: 0; font-size: 1rem; }
pre { overflow-x: auto; margin: 0.4rem 0; padding: 0.5rem; background: #8881; } p { margin: 0.3rem 0; }
mark { background: #fc06; color: inherit; } .error { color: #c22; } .warning { color: #a60; }
@media (prefers-color-scheme: dark) { .error { color: #f77; } .warning { color: #fb5; } }
"""


def render_page(found: Sequence[Diagnostic]) -> str:
    """The whole page, without a closing newline. Names and lines come from strangers: all of them are escaped."""
    style = b64encode(sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{style}'"
    head = summary(found) if found else "nothing found"
    counts = Counter(each.code for each in found)
    rows = "\n".join(
        f'<tr><td>{count}</td><td><a href="#{code}">{code}</a></td><td>{escape(RULES[code].summary)}</td></tr>'
        for code, count in counts.most_common()
    )
    sections = "\n".join(_section(code, [each for each in found if each.code == code]) for code in sorted(counts))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width">
<title>mctc lint: training code on MPS</title>
<style>{STYLE}</style>
</head>
<body>
<h1>Training code on MPS</h1>
<p>{escape(head)}. mctc {__version__}. The code was parsed, not run.</p>
<table>
<thead><tr><th>findings</th><th>rule</th><th>what it finds</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
{sections}
</body>
</html>"""


def _section(code: str, group: Sequence[Diagnostic]) -> str:
    rule = RULES[code]
    said = "".join(f"<p>{escape(text)}</p>" for text in (rule.why, rule.fix, f"Source: {rule.source}"))
    found = "\n".join(_finding(each) for each in group)
    return f'<h2 id="{code}">{code}: {escape(rule.summary)}</h2>\n{said}\n{found}'


def _finding(found: Diagnostic) -> str:
    place = escape(clean(relative(file_of(found))))
    line = f":{found.span.location.line}" if found.span is not None else ""
    said = [found.message, *(note.message for note in found.notes), found.hint or ""]
    text = "".join(f"<p>{escape(clean(each))}</p>" for each in said if each)
    kind = found.severity.value
    return f'<article>\n<h3><span class="{kind}">{kind}</span> {place}{line}</h3>\n{_code(found)}{text}\n</article>'


def _code(found: Diagnostic) -> str:
    """The line of a finding with what is meant marked."""
    if found.span is None:
        return ""
    at = found.span.location
    text = found.span.source.line(at.line)
    last = at.end_column if at.end_line == at.line else len(text) + 1
    parts = (text[: at.column - 1], text[at.column - 1 : last - 1], text[last - 1 :])
    before, meant, behind = (escape(clean(shortened(part, WIDEST))) for part in parts)
    return f"<pre>{before}<mark>{meant}</mark>{behind}</pre>"
