"""Which rules count: selectors of both linters, and one layer of settings over another."""

from __future__ import annotations

import pytest

from mctc.diagnostics.errors import UsageError
from mctc.linter.coreml.rule import Severity
from mctc.linter.mps.table import RULES
from mctc.linter.selection import SEVERITIES, Layer, chosen, layered, read_severities

CODES = {"ANE-CV-001": "convolution", "ANE-CV-002": "convolution", "ANE-ST-001": "state", "ACME1": "acme"}


def layers(*given: Layer) -> set[str]:
    return set(layered(given, CODES, CODES).codes)


def test_a_beginning_of_codes_chooses_all_that_begin_so() -> None:
    waits = {code for code in RULES if code.startswith("MPS05")}
    assert chosen(["mps05"], [], RULES) == waits
    assert chosen([], ["MPS05"], RULES) == set(RULES) - waits
    assert chosen(["MPS05,MPS001"], ["MPS050"], RULES) == (waits - {"MPS050"}) | {"MPS001"}


def test_the_longer_beginning_wins() -> None:
    assert chosen(["MPS050"], ["MPS05"], RULES) == {"MPS050"}
    assert chosen(["MPS"], ["MPS"], RULES) == frozenset()


def test_a_code_that_no_rule_has_is_refused_with_a_near_one() -> None:
    with pytest.raises(UsageError, match="MSP050") as caught:
        chosen(["MSP050"], [], RULES)
    assert "MPS050" in str(caught.value.hint)


def test_a_subject_is_longer_than_a_beginning_and_shorter_than_a_code() -> None:
    assert chosen(["convolution"], [], CODES, CODES) == {"ANE-CV-001", "ANE-CV-002"}
    assert chosen(["Convolution"], ["ANE-CV-00"], CODES, CODES) == {"ANE-CV-001", "ANE-CV-002"}
    assert chosen([], ["convolution", "acme"], CODES, CODES) == {"ANE-ST-001"}
    assert chosen(["ANE-CV-001", "ACME"], ["convolution"], CODES, CODES) == {"ANE-CV-001", "ACME1"}


def test_a_selector_of_a_file_that_names_nothing_is_refused_with_its_place() -> None:
    with pytest.raises(UsageError, match=r"pyproject\.toml: ignore: no rule begins with `convolutoin`") as caught:
        layers(Layer(ignore=("convolutoin",), source="pyproject.toml"))
    assert "`convolution`" in str(caught.value.hint)


def test_a_selection_of_the_command_line_replaces_that_of_the_file() -> None:
    assert layers(Layer(select=("ANE-ST",)), Layer(select=("ANE-CV",))) == {"ANE-CV-001", "ANE-CV-002"}
    assert layers(Layer(select=("ANE-ST",)), Layer()) == {"ANE-ST-001"}


def test_what_the_file_ignores_stays_ignored_unless_just_that_is_selected() -> None:
    ignoring = Layer(ignore=("ANE-CV-001",))
    assert layers(ignoring, Layer(select=("ANE-CV",))) == {"ANE-CV-002"}
    assert layers(ignoring, Layer(select=("ane-cv-001",))) == {"ANE-CV-001"}


def test_what_the_command_line_ignores_is_taken_away_however_closely_the_file_selects_it() -> None:
    assert layers(Layer(select=("ANE-CV-001", "ANE-ST")), Layer(ignore=("ANE-CV",))) == {"ANE-ST-001"}


def test_severities_are_laid_over_one_another_and_the_longest_selector_wins_in_each() -> None:
    file = Layer(severity={"ANE": "warning", "ANE-CV-001": "error"})
    found = layered([file, Layer(severity={"state": "info"})], CODES, CODES).severities
    assert found == {"ANE-CV-001": "error", "ANE-CV-002": "warning", "ANE-ST-001": "info"}


def test_off_is_like_ignoring_and_the_command_line_can_undo_it() -> None:
    off = Layer(severity={"ANE-CV": "off", "ANE-CV-002": "error"})
    assert layers(off) == {"ANE-CV-002", "ANE-ST-001", "ACME1"}
    assert layers(off, Layer(severity={"ANE-CV-001": "info"})) == set(CODES)
    assert layers(off, Layer(select=("ANE-CV-001",))) == {"ANE-CV-001"}
    assert layers(off, Layer(select=("ANE-CV",))) == {"ANE-CV-002"}
    assert layered([off], CODES).severities == {"ANE-CV-002": "error"}


def test_each_linter_takes_its_own_of_a_file_for_both() -> None:
    both = Layer(("MPS05,ANE-ST", "convolution"), ("mps050",), {"MPS": "off", "ANE": "info"})
    assert both.of(training=True) == Layer(("MPS05",), ("mps050",), {"MPS": "off"})
    assert both.of(training=False) == Layer(("ANE-ST", "convolution"), (), {"ANE": "info"})


def test_severities_of_the_command_line_are_read() -> None:
    assert read_severities(["ANE-ST-001=error", "state=Off, ANE-CV = info"]) == {
        "ANE-ST-001": "error",
        "state": "off",
        "ANE-CV": "info",
    }


@pytest.mark.parametrize("text", ["ANE-ST-001", "=error", "ANE-ST-001=eror", "ANE-ST-001=", "ANE=a=b"])
def test_a_severity_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="severity"):
        read_severities([text])


def test_the_severities_are_those_of_rules() -> None:
    assert tuple(each.value for each in Severity) == SEVERITIES
