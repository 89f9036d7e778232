"""What of the page is no script's: its title, and in short what a reader without JavaScript has to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import escape

from mctc.diagnostics.clean import clean
from mctc.linter.coreml.formats.layers import in_numbers
from mctc.linter.coreml.formats.page.verdict import verdict
from mctc.linter.coreml.formats.words import shortened, totals
from mctc.linter.coreml.report import Report, Unchecked

NAME, LINE, TITLE = 200, 1000, 80  # characters at most


def prose(reports: Sequence[Report], unchecked: Sequence[Unchecked]) -> Mapping[str, str]:
    """Markup by its place in page.html; every name is escaped."""
    return {
        "title": _title(reports),
        "link": '    <a href="#unchecked">Not checked</a>\n' if unchecked else "",
        "short": "".join(map(_in_short, reports)),
        "refused": _unchecked(unchecked) if unchecked else "",
    }


def _title(reports: Sequence[Report]) -> str:
    if not reports:
        return ""
    more = f" and {len(reports) - 1} more" if len(reports) > 1 else ""
    return f": {_told(reports[0].path, TITLE)}{more}"


def _in_short(report: Report) -> str:
    lines = [] if report.network is None else [str(escape(in_numbers(report.network)))]
    lines += [f"<bdi>{_told(each.name, NAME)}</bdi>: {escape(verdict(each))}" for each in report.functions]
    return (
        f"    <h2><bdi>{_told(report.label, NAME)}</bdi></h2>\n    <p>{escape(totals([report]))}</p>\n    <ul>\n"
        + "".join(f"      <li>{line}</li>\n" for line in lines)
        + "    </ul>\n"
    )


def _unchecked(models: Sequence[Unchecked]) -> str:
    return (
        '<section id="unchecked" tabindex="-1" aria-labelledby="unchecked-title">\n'
        '  <h2 id="unchecked-title">Not checked</h2>\n  <dl class="prose">\n'
        + "".join(map(_refused, models))
        + "  </dl>\n</section>\n"
    )


def _refused(model: Unchecked) -> str:
    lines = [line for line in (model.reason, model.hint, *model.about) if line]
    told = "".join(f"    <dd>{_told(line, LINE)}</dd>\n" for line in lines)
    return f"    <dt><bdi>{_told(model.label, NAME)}</bdi></dt>\n{told}"


def _told(text: str, most: int) -> str:
    return str(escape(shortened(clean(text), most)))
