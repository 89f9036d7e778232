"""Files of the shipped library, parsed as far as they are used.

A spec calls a few blocks of a library that has a hundred, the prelude among it. The shipped files are as the formatter
writes them, so the first letters of lines say where the statements outside of braces begin; a file in which they don't
is parsed as a whole. Its blocks are parsed when they are looked up.
"""

from __future__ import annotations

import re

from mctc.diagnostics.source import SourceFile
from mctc.records import dataclass

HEAD = re.compile(r"(?:(?:block|model) (?P<name>[A-Za-z_]\w*)|import \")")
LINE = re.compile(r"^(?=[^\s#)}])", re.MULTILINE)  # one that begins neither inside of a statement nor with its end


@dataclass(frozen=True)
class Part:
    """One statement: where it begins and ends, and the name that it defines; '' for an import."""

    start: int
    end: int
    name: str


def parts(source: SourceFile) -> list[Part] | None:
    """The statements of a file; None where the beginnings of lines don't tell them."""
    starts = [match.start() for match in LINE.finditer(source.text)]
    found: list[Part] = []
    for start, end in zip(starts, [*starts[1:], len(source.text)]):
        head = HEAD.match(source.text, start)
        if head is None:
            return None
        found.append(Part(start, end, head["name"] or ""))
    names = [part.name for part in found if part.name]
    return found if len(set(names)) == len(names) else None
