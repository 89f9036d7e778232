"""Every example of the language reference and of docs/recurrences.md compiles; the first leaves no construct out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mctc.language import check_file
from mctc.language.parser import parse_all
from mctc.language.syntax import File
from mctc.language.walk import walk

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "language.md"
FENCES = re.compile(r"^```mct( body)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BODY = """
model m(width = 64, depth = 2, vocab = 100) {{
    dim B: batch
    dim T: time @ 100 Hz
    component c(x: f32[B, T, width]) -> f32[B, T, width] {{
{0}
        return x
    }}
}}
"""


def examples(page: Path) -> list[str]:
    return [BODY.format(text) if body else text for body, text in FENCES.findall(page.read_text())]


EXAMPLES = examples(PAGE)
MORE = [*EXAMPLES, *examples(DOCS / "recurrences.md")]


@pytest.mark.parametrize("index", range(len(MORE)))
def test_an_example_compiles(index: int, tmp_path: Path) -> None:
    path = tmp_path / "example.mct"
    path.write_text(MORE[index])
    assert [found.message for found in check_file(path) if found.is_error] == []


def test_the_examples_hold_every_construct() -> None:
    from mctc.diagnostics.source import SourceFile
    from mctc.language import syntax

    used: set[str] = set()
    for text in EXAMPLES:
        file = parse_all(SourceFile("example", text)).file
        used |= {type(node).__name__ for statement in file.statements for node in walk(statement)}
    every = {name for name, kind in vars(syntax).items() if isinstance(kind, type) and issubclass(kind, syntax.Node)}
    assert every - {"Node", File.__name__} - used == set()


def test_every_word_of_the_language_is_explained() -> None:
    from mctc.language.expectation import KEYWORDS
    from mctc.language.functions import FUNCTIONS
    from mctc.language.values import UNITS

    words = set(re.findall(r"\w+", PAGE.read_text()))
    assert {*KEYWORDS, *FUNCTIONS, *UNITS} <= words
