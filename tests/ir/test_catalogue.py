"""docs/ops.md is what the declarations say; docs/ir.md's programs are programs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.pages.ops import in_words, page
from mctc.ir.declared import registry
from mctc.ir.text import parse_program, print_program
from mctc.ir.time import POINTWISE, Recurrent, Whole, Window
from mctc.ir.verify import verify


def test_the_catalogue_in_docs_is_current(root: Path) -> None:
    written = (root / "docs" / "ops.md").read_text(encoding="utf-8")
    assert written == page(), "run: python -m docs.pages ops.md"


def test_every_op_with_attributes_has_an_example() -> None:
    entries = re.split(r"^### ", page(), flags=re.MULTILINE)[1:]
    assert [entry.splitlines()[0] for entry in entries if "\n%0" not in entry] == []


def test_every_op_is_in_the_catalogue_once() -> None:
    headings = re.findall(r"^(?:### |\| )`(\w+)\(", page(), re.MULTILINE)
    own = [name for name, op in registry().items() if op.__module__.startswith("mctc.ir.ops.")]
    assert sorted(headings) == sorted(own)


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (POINTWISE, "pointwise: frame t from frame t"),
        (Window(2, 1, 2, ("x",), ()), "window: 2 frames before, 1 after, one in 2 (x)"),
        (Recurrent((("h", 1), ("c", 2)), "mask"), "recurrent: h, c from frame to frame"),
        (Whole("it reverses"), "whole: it reverses"),
    ],
)
def test_time_behaviours_in_words(time: object, words: str) -> None:
    assert in_words(time) == words  # type: ignore[arg-type]


def test_the_programs_of_the_description_are_programs(root: Path) -> None:
    blocks = re.findall(r"```mir\n(.*?)```", (root / "docs" / "ir.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks:
        program = parse_program(block)
        verify(program)
        text = print_program(program, locations=True)
        assert print_program(parse_program(text), locations=True) == text
