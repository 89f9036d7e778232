"""A page a command, op, pass, rule and diagnostic, cut out of the catalogues that code writes.

A catalogue is one Markdown text with a section for each entry. On the site a section is a page of its own, and a list
of links stands in its place. Plain elementwise ops, which the catalogue has in a table, get a page too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from textwrap import fill

from docs.pages import diagnostics, lint_mps, lint_rules, ops, passes
from docs.site.commands import HEADING, reference
from docs.site.markdown import headings
from docs.site.navigation import ROOT

SITE = "site:"
"""Begins a link to a page of the site, in place of one to a file of the repository."""


@dataclass(frozen=True)
class Catalogue:
    """`guide` in docs/ is the catalogue's text, which `text` makes anew. A heading of an entry matches `entry`, whose
    first group names the page in the folder `folder`. With `calls`, the heading is a call and the title
    the name alone."""

    guide: str
    folder: str
    entry: re.Pattern[str]
    text: Callable[[], str]
    calls: bool = False


@dataclass(frozen=True)
class Entry:
    """A page: its path on the site without suffix, the heading that it had in the catalogue, and its Markdown."""

    path: str
    anchor: str
    text: str


def _commands() -> str:
    head, _, _ = (ROOT / "docs/cli.md").read_text(encoding="utf-8").partition(HEADING)
    return head + HEADING + reference()


CATALOGUES = (
    Catalogue("cli.md", "commands", re.compile(r"^mctc ([a-z-]+)"), _commands),
    Catalogue("ops.md", "ops", re.compile(r"^`(\w+)\("), ops.page, calls=True),
    Catalogue("passes.md", "passes", re.compile(r"^([a-z0-9]+(?:-[a-z0-9]+)*)$"), passes.page),
    Catalogue("lint-rules.md", "rules", re.compile(r"^(ANE-[A-Z]+-\d+\w?): "), lint_rules.page),
    Catalogue("lint-mps.md", "rules", re.compile(r"^(MPS\d+): "), lint_mps.page),
    Catalogue("diagnostics.md", "diagnostics", re.compile(r"^(MCT\d+): "), diagnostics.page),
)


def cut(catalogue: Catalogue) -> tuple[str, list[Entry]]:
    """The catalogue's text with lists of links in the place of its entries, and a page for each of them."""
    text = catalogue.text()
    lines, found = text.splitlines(), headings(text)
    index: list[str] = []
    entries: list[Entry] = []
    at, group = 0, ""
    for place, heading in enumerate(found):
        name = catalogue.entry.match(heading.title)
        if name is None:
            group = heading.title if heading.level == 2 else group
            continue
        index += [*lines[at : heading.line], ""] if heading.line > at else []
        at = next((each.line for each in found[place + 1 :] if each.level <= heading.level), len(lines))
        way = f"[{found[0].title}]({SITE}{catalogue.guide})" + (f" / {group}" if group else "")
        head = _call(heading.title, way) if catalogue.calls else [f"# {heading.title}", "", way]
        body = "\n".join([*head, "", *lines[heading.line + 1 : at]])
        entries.append(Entry(f"{catalogue.folder}/{name[1]}", heading.anchor, body))
        index.append(f"* [{name[1] if catalogue.calls else heading.title}]({SITE}{entries[-1].path}.md)")
    return "\n".join([*index, "", *lines[at:]]) + "\n", entries


def plain_ops(known: set[str]) -> Iterator[Entry]:
    """Pages of the ops that are lines of a table: all whose pages are not `known`."""
    for definition in ops.own():
        if f"ops/{definition.name}" not in known:
            head, *body = ops.entry(definition)
            text = "\n".join([*_call(head.lstrip("# "), f"[Ops of the IR]({SITE}ops.md)"), "", *body])
            yield Entry(f"ops/{definition.name}", "", text)


def _call(title: str, way: str) -> list[str]:
    """The head of the page of `name(operands, attributes)`: the name, the way back, and the call as code."""
    call = title.strip("`")
    code = fill(call, 80, subsequent_indent="    ", break_long_words=False)
    return [f"# {call.partition('(')[0]}", "", way, "", f"```mir\n{code}\n```"]
