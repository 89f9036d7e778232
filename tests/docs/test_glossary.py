"""The glossary has what the guides use, and words are found in them as terms."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.site.glossary import Term, pattern, terms, used
from docs.site.navigation import HOME, navigation


@pytest.fixture(scope="module")
def known(root: Path) -> list[Term]:
    return terms((root / "docs/glossary.md").read_text(encoding="utf-8"))


def test_every_term_is_used_by_a_guide(root: Path, known: list[Term]) -> None:
    guides = [HOME, *(page for section in navigation() for page in section.pages if page != "docs/glossary.md")]
    found = set().union(*(used((root / guide).read_text(encoding="utf-8"), known) for guide in guides))
    assert [term.names[0] for term in known if term.anchor not in found] == []


def test_no_spelling_stands_for_two_terms(known: list[Term]) -> None:
    names = [name.lower() for term in known for name in term.names]
    assert len(names) == len(set(names))
    assert all(term.text for term in known)


def test_a_term_is_found_in_the_plural_and_at_the_beginning_of_a_sentence() -> None:
    known = [Term(("chunk",), ""), Term(("Core ML",), ""), Term(("pass",), "")]
    assert used("Chunks of `pass` tests that pass. chunked core ml", known) == {"chunk"}
    assert used("Core\nML runs the pass", [Term(("Core ML",), ""), Term(("pass",), "")]) == {"pass"}
    assert used("a pass of Core ML", known) == {"pass", "core-ml"}


def test_the_longer_of_two_terms_is_meant() -> None:
    found = pattern([Term(("state",), ""), Term(("packed state",), "")]).search("a packed state")
    assert found is not None
    assert found[1] == "packed state"


def test_other_spellings_belong_to_the_term_above_them() -> None:
    (term,) = terms("# Glossary\n\n## Apple\n\n### Neural Engine\n\nApple's.\nAlso: ANE, the engine.\n")
    assert term.names == ("Neural Engine", "ANE", "the engine")
    assert term.anchor == "neural-engine"
