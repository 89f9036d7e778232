"""The result as one HTML page that needs nothing else: every utterance, said above heard, the worst first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mctc.records import dataclass
from mctc.score.alignment import Pair
from mctc.score.report import lines
from mctc.score.result import Result
from mctc.score.summary import Scored

TEMPLATE = Path(__file__).with_name("page.html.j2")


@dataclass(frozen=True)
class PageRow:
    """An utterance of one system. heard: (name of the system, its pairs of words) for each."""

    id: str
    errors: int
    said: int
    heard: tuple[tuple[str, tuple[Pair, ...]], ...]


def as_page(result: Result) -> str:
    """HTML. Texts are escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    title = ", ".join(str(about["build"]) for about in result.builds)
    rows = sorted(_rows(result), key=lambda row: -row.errors)
    return template.render(title=title, summary=list(lines_of_page(result)), rows=rows)


def lines_of_page(result: Result) -> Iterator[str]:
    """The report without the utterances that it lists, which the page shows anyway."""
    return (line for line in lines(result) if not line.startswith("    "))


def _rows(result: Result) -> Iterator[PageRow]:
    """The utterances, of two systems both in one row, counted by the worse."""
    names = [str(about["build"]) for about in result.builds]
    for each in zip(*(summary.utterances for summary in result.systems)):
        yield _row(each, names)


def _row(each: tuple[Scored, ...], names: list[str]) -> PageRow:
    worst = max(scored.words.errors for scored in each)
    heard = tuple((name, scored.pairs) for name, scored in zip(names, each))
    return PageRow(each[0].record.id, worst, each[0].words.said, heard)
