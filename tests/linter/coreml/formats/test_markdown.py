"""Markdown: tables and findings that fit a comment, in which no name is markup."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from mctc.linter.coreml.formats.markdown import LIMIT, _code, _prose, render_markdown
from tests.linter.coreml.formats.sample import RULES, sample, samples

ALLOWED = {"h2", "h3", "p", "code", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "strong"}


def test_the_worst_comes_first_after_a_table_per_package() -> None:
    text = render_markdown(samples())
    assert text.startswith(
        "## Core ML lint: 2 errors, 1 warning, 1 performance note, 1 numerics note, 1 remark\n\n### `` models/a|b`"
    )
    order = ["### `clean.mlpackage`", "| `main` |", *(f"`ANE-XX-00{number}`" for number in range(1, 6)), "<sub>"]
    places = [text.rindex(each) if each.startswith("|") else text.index(each) for each in order]
    assert places == sorted(places)
    assert "**error** `ANE-XX-001` relu as a sample of error (2 times) in " in text
    assert "- Contested, that it leaves the Neural Engine: An M5 does not (B).\n" in text
    assert "from `spec/a b.mct:15:32`" in text


def test_shares_are_of_cost_and_the_report_says_whose_constants_they_rest_on() -> None:
    text = render_markdown([sample()])
    assert "100 % (5 ops)" in text
    assert "M4 (H16), macOS 27.0.1" in text
    assert "Shares are of estimated CPU time, not of ops. Only MLComputePlan on a Mac can confirm it." in text
    assert "Not applied, for want of the target: ANE-XX-006 (chips M1, A14)." in text


def test_no_name_is_markup() -> None:
    text = render_markdown([sample()])
    page = MarkdownIt("commonmark").enable("table").render(text.replace("<sub>", "").replace("</sub>", ""))
    assert not set(re.findall(r"</?([a-z0-9]+)", page)) - ALLOWED
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;[x](ht") == 2  # once in the message, once as a name
    in_prose = re.sub(r"<code>.*?</code>", "", page)
    assert "http://" not in in_prose
    assert "@team" not in in_prose
    assert all(character.isprintable() or character == "\n" for character in text.replace("\N{ZERO WIDTH SPACE}", ""))


@pytest.mark.parametrize(
    ("name", "code"), [("a", "`a`"), ("a`b", "`` a`b ``"), ("``", "``` `` ```"), ("", "`  `"), ("a\nb", "`a\ufffdb`")]
)
def test_a_name_is_a_code_span_whatever_it_holds(name: str, code: str) -> None:
    assert _code(name) == code


def test_prose_makes_no_links() -> None:
    assert _prose("see https://a.b, www.c.d, @e, #1") == ("see https\u200b://a.b, www\u200b.c.d, @\u200be, \\#\u200b1")


def test_a_pipe_in_a_functions_name_ends_no_cell() -> None:
    report = sample()
    (function,) = report.functions
    text = render_markdown([replace(report, functions=(replace(function, name="a|b\\|c"),))])
    assert MarkdownIt("commonmark").enable("table").render(text).count("<td") == 9


def test_a_report_of_any_size_fits_and_says_what_was_cut() -> None:
    report = sample()
    (function,) = report.functions
    finding = report.findings[0]
    findings = tuple(
        replace(
            finding, rule=replace(RULES[0], code=f"ANE-XX-{number}"), message=f"{number} " + "*" * 900, op="o" * 900
        )
        for number in range(300)
    )
    large = replace(report, findings=findings, functions=(replace(function, name="f" * 900),) * 300)
    text = render_markdown([large] * 40)
    assert len(text) <= LIMIT
    assert "**Left out, to fit a comment:** " in text
    assert "with " in text.rpartition("**Left out, to fit a comment:** ")[2]
    assert text.endswith("</sub>")
    assert "**error** `ANE-XX-" in text
