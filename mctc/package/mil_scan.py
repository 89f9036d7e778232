"""The words of MIL text, and a cursor that takes them one by one."""

from __future__ import annotations

import re
from pathlib import Path
from re import Match, Pattern
from typing import NoReturn

from mctc.package.errors import PackageError

# No pattern can match one stretch of text in two ways, so none backtracks more than once over it, whatever the text.
_NAME = r"[A-Za-z_@$%][\w@$%.]*"
_TENSOR = r"tensor\s*<[^<>\[\]]*\[[^<>\[\]]*\]\s*>"
_STRING = r'"[^"\\]*(?:\\[\s\S][^"\\]*)*"'
_NUMBERS = r'\[[^\[\]"(){}<>=;]*\]'
_SCALAR = r"[-+.\w]+"


def word(pattern: str) -> Pattern[str]:
    """A pattern with white space before it."""
    return re.compile(r"\s*" + pattern)


NAME = word(f"({_NAME})")
TYPE = word(rf"(?:({_TENSOR})|({_NAME})(\s*<)?)")
"""A tensor, an element type, or the beginning of a generic type."""
RESULT = word(rf"({_TENSOR}|{_NAME})\s+({_NAME})\s*([,=])")
"""A result of the types that nearly all have: type, name, what follows."""
CALL = word(rf"({_NAME})\s*(?:<\s*{_NAME}\s*>\s*)?\(\s*(\))?")
"""An op and its opening parenthesis; texts that Core ML writes itself name the op's own opset between them."""
_SIMPLE = rf"({_TENSOR}|{_NAME})\s*(?:\(\s*(?:({_STRING})|({_NUMBERS})|({_SCALAR}))\s*\)|(?=[,)\]]))"
SIMPLE = word(_SIMPLE)
"""A reference (group 1 alone), or a constant of one literal: a string, a flat list of numbers, or a word."""
BINDING = word(rf"({_NAME})\s*=(?:\s*{_SIMPLE})?")
"""A name and what is bound to it, where that is as simple."""
LITERAL = word(rf"(?:({_STRING})|({_NUMBERS})|(BLOBFILE\s*\()|({_SCALAR})|([\[({{]))")
LABEL = word(rf"({_NAME})\s*=(?!=)")
EXTENT = word(r"(\?|\*|\.\.\.|-?\d+)")
RESULTS = word(r"->\s*\(([^()]*)\)")
PROGRAM = word(r"program\s*\(([^()]*)\)")
FUNCTION = word(rf"func\s+({_NAME})\s*(?:<\s*({_NAME})\s*>)?\s*\(")
BLOCK = word(rf",?\s*(?:{_NAME})?\s*([({{])")
LATE_BLOCK = word(r"block\s*([({])")
_SPACE = word("")
END = word(r"\Z")
MARKS = {mark: word(re.escape(mark)) for mark in "()[]{}<>,;="}
_EXTENTS = re.compile(r"tensor\s*<\s*([^\s,]+)\s*,\s*\[(.*)\]\s*>", re.DOTALL)


def tensor_parts(text: str) -> tuple[str, list[str]]:
    """Element type and extents of the text of a tensor type; the name of an element type is a scalar of it."""
    match = _EXTENTS.fullmatch(text)
    if match is None:
        return text, []
    extents = match.group(2).strip()
    return match.group(1), [part.strip() for part in extents.split(",")] if extents else []


class Cursor:
    """A place in a text, and the ways to go on from it. Lines are counted as far as they were asked for."""

    def __init__(self, text: str, path: Path) -> None:
        self.text = text
        self._path = path
        self._place = 0
        self._line = 1
        self._counted = 0

    def take(self, pattern: Pattern[str]) -> Match[str] | None:
        """The match of a pattern here, passed over; None when there is none."""
        match = pattern.match(self.text, self._place)
        if match is not None:
            self._place = match.end()
        return match

    def sees(self, pattern: Pattern[str]) -> bool:
        """Whether a pattern matches here; nothing is passed over."""
        return pattern.match(self.text, self._place) is not None

    def mark(self, mark: str) -> bool:
        """Whether this mark stands here; it is passed over."""
        there = self.text[self._place : self._place + 1]
        if there == mark:  # no white space before it: no need of a pattern
            self._place += 1
            return True
        return there.isspace() and self.take(MARKS[mark]) is not None

    def need(self, pattern: Pattern[str], what: str) -> Match[str]:
        """The match of a pattern here. Raises PackageError when there is none."""
        match = self.take(pattern)
        return self.fail(f"{what} is expected") if match is None else match

    def need_mark(self, mark: str) -> None:
        """Passes over a mark. Raises PackageError when another is there."""
        if not self.mark(mark):
            self.fail(f"'{mark}' is expected")

    def line(self) -> int:
        """The line of this place."""
        if self._place > self._counted:
            self._line += self.text.count("\n", self._counted, self._place)
            self._counted = self._place
        return self._line

    def fail(self, message: str) -> NoReturn:
        """Raises PackageError with this place's line and what stands there."""
        self.take(_SPACE)
        there = self.text[self._place : self._place + 24].split("\n")[0]
        found = f", found {there!r}" if there else ", the text ends here"
        raise PackageError(f"{self._path}, line {self.line()}: {message}{found}")
