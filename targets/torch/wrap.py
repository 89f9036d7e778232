"""Lines that fit the page: one that is too long is broken inside its last brackets, as ruff breaks it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

WIDTH = 120
OPEN, CLOSE = "([{", ")]}"


def wrapped(lines: Iterable[str]) -> Iterator[str]:
    """Every line, broken where it is longer than WIDTH."""
    for line in lines:
        if len(line) <= WIDTH or line.lstrip().startswith(("#", '"""')):
            yield line
        else:
            yield from _broken(line)


def _broken(line: str) -> Iterator[str]:
    start, end = _outermost(line)
    if start < 0:
        yield line
        return
    indent = line[: len(line) - len(line.lstrip())]
    returned = line.lstrip().removeprefix("return ")
    if returned != line.lstrip() and len(list(_parts(returned))) > 2:
        yield f"{indent}return ("
        for part in _parts(returned):
            yield from wrapped([f"{indent}    {part},"])
        yield f"{indent})"
        return
    inner = line[start + 1 : end]
    yield line[: start + 1]
    whole = f"{indent}    {inner}"
    if len(whole) <= WIDTH:
        yield whole
    else:
        for part in _parts(inner):
            yield from wrapped([f"{indent}    {part},"])
    yield f"{indent}{line[end:]}"


def _outermost(line: str) -> tuple[int, int]:
    """The brackets around the most text that close at the end of the statement: (-1, -1) where there are none."""
    depth, start, best = 0, -1, (-1, -1)
    for at, character in _outside_strings(line):
        if character in OPEN:
            start = at if depth == 0 else start
            depth += 1
        elif character in CLOSE:
            depth -= 1
            if depth == 0 and at - start > best[1] - best[0]:
                best = (start, at)
    return best


def _parts(text: str) -> Iterator[str]:
    """The arguments of a call."""
    depth, start = 0, 0
    for at, character in _outside_strings(text):
        if character in OPEN:
            depth += 1
        elif character in CLOSE:
            depth -= 1
        elif character == "," and depth == 0:
            yield text[start:at].strip()
            start = at + 1
    if text[start:].strip():
        yield text[start:].strip()


def _outside_strings(text: str) -> Iterator[tuple[int, str]]:
    quote = ""
    for at, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        else:
            yield at, character
