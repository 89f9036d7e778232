"""Diagnostics as text and JSON, and located diagnostics of later stages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mctc.diagnostics.diagnostic import Diagnostic, DiagnosticError, Note, Severity, diagnostic_at
from mctc.diagnostics.near import did_you_mean, listing
from mctc.diagnostics.render import as_json, render, render_all
from mctc.diagnostics.source import SourceFile, Span
from mctc.ir.location import Location

SOURCE = SourceFile("a.mct", "x = 1\n\ty = foo(\n  1)\n")


def test_the_caret_stands_under_the_place_also_behind_tabs() -> None:
    text = render(Diagnostic("MCT0050", "wrong", Span(SOURCE, 11, 14)))
    assert text.splitlines()[-2:] == ["2 | \ty = foo(", "  | \t    ^^^"]


def test_a_place_over_several_lines_shows_its_first() -> None:
    text = render(Diagnostic("MCT0050", "wrong", Span(SOURCE, 11, 19)))
    assert text.splitlines()[-1] == "  | \t    ^^^^"


def test_an_empty_place_has_one_caret() -> None:
    assert render(Diagnostic("MCT0050", "wrong", Span(SOURCE, 5, 5))).endswith("|      ^")


def test_a_long_line_is_cut_around_the_place() -> None:
    source = SourceFile("a.mct", "a" * 5000 + "!" + "b" * 5000)
    lines = render(Diagnostic("MCT0021", "wrong", Span(source, 5000, 5001))).splitlines()
    assert len(lines[-2]) < 180
    assert lines[-2][lines[-1].index("^")] == "!"


def test_control_characters_never_reach_the_terminal() -> None:
    source = SourceFile("a\x1b[2J.mct", "x\x1b[31m")
    assert "\x1b" not in render(Diagnostic("MCT0004", "an\x07 escape", Span(source, 1, 2)))


def test_colour_is_only_there_when_asked_for() -> None:
    diagnostic = Diagnostic("MCT0050", "wrong", Span(SOURCE, 0, 1), "mend it", (Note("also here", Span(SOURCE, 7, 8)),))
    assert "\x1b[" in render(diagnostic, color=True)
    assert "\x1b[" not in render(diagnostic)


def test_a_run_shows_twenty_and_counts_the_rest() -> None:
    many = [Diagnostic("MCT0050", f"number {i}", Span(SOURCE, 0, 1)) for i in range(30)]
    many.append(Diagnostic("MCT0059", "unused", Span(SOURCE, 0, 1), severity=Severity.WARNING))
    text = render_all(many)
    assert "number 19" in text
    assert "number 20" not in text
    assert text.endswith("30 errors and 1 warning, the first 20 shown; `mctc explain MCT0050` says more")


def test_json_holds_places_hints_and_notes() -> None:
    diagnostic = Diagnostic("MCT0050", "wrong", Span(SOURCE, 11, 14), "mend it", (Note("here", Span(SOURCE, 0, 1)),))
    (record,) = json.loads(as_json([diagnostic]))
    assert record == {
        "code": "MCT0050", "severity": "error", "message": "wrong", "file": "a.mct", "line": 2, "column": 6,
        "end_line": 2, "end_column": 9, "hint": "mend it",
        "notes": [{"message": "here", "file": "a.mct", "line": 1, "column": 1, "end_line": 1, "end_column": 2}],
    }  # fmt: skip


def test_a_later_stage_points_at_the_line_of_the_spec(tmp_path: Path) -> None:
    path = tmp_path / "a.mct"
    path.write_text("one\ntwo three\n")
    text = DiagnosticError(diagnostic_at(Location(str(path), 2, 5, 2, 10), "MCT0201", "needs all")).render()
    assert "2 | two three\n  |     ^^^^^" in text


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        (Location("gone.mct", 3, 4), "gone.mct:3:4"),
        (Location("mctc.spec/lib/nn.mct", 1, 1), "# The prelude"),
        (None, ""),
    ],
)
def test_a_place_is_shown_as_far_as_it_can_be_read(location: Location | None, shown: str) -> None:
    assert shown in render(diagnostic_at(location, "MCT0201", "needs all"))


def test_near_names_and_listings() -> None:
    assert did_you_mean("layernorm", ["layer_norm", "linear"]) == "did you mean `layer_norm`?"
    assert did_you_mean("zzz", ["layer_norm"]) is None
    assert listing(["a", "b", "c"]) == "`a`, `b` and `c`"
    assert listing(map(str, range(10)), limit=2) == "`0`, `1` and 8 more"
