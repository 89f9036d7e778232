"""Path patterns of `quantize` sections: `encoder.**.{in_proj, out_proj}`."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import groupby, pairwise


def matches(pattern: str, path: str) -> bool:
    """Whether a dotted path matches: `*` is any one element (or part of one), `**` any number of them, also none.

    `{a, b}` is either; braces may nest and hold dots. A trailing `.weight` of the path may be left off.
    """
    paths = [path, path.removesuffix(".weight")]
    return any(one.fullmatch(each) is not None for one in _compiled(pattern) for each in paths)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> tuple[re.Pattern[str], ...]:
    return tuple(_expression(each) for each in alternatives("".join(pattern.split())))


def alternatives(pattern: str) -> list[str]:
    """The pattern without braces, once for each choice of what stands in them."""
    begin = pattern.find("{")
    if begin < 0:
        return [pattern]
    depth, cuts, end = 0, [begin], len(pattern)
    for at in range(begin, len(pattern)):
        depth += {"{": 1, "}": -1}.get(pattern[at], 0)
        if pattern[at] == "," and depth == 1:
            cuts.append(at)
        if depth == 0:
            end = at
            break
    cuts.append(end)
    choices = [pattern[a + 1 : b] for a, b in pairwise(cuts)]
    head, tail = pattern[:begin], pattern[end + 1 :]
    return [each for choice in choices for each in alternatives(head + choice + tail)]


def _expression(pattern: str) -> re.Pattern[str]:
    """`**` takes the dot that separates it along, so that it may stand for nothing."""
    elements = [key for key, run in groupby(pattern.split(".")) for _ in ([0] if key == "**" else run)]
    text = ""
    for index, element in enumerate(elements):
        last = index == len(elements) - 1
        if element == "**":
            text += r"(?:\.[^.]+)*" if index else (r"(?:[^.]+(?:\.[^.]+)*)?" if last else r"(?:[^.]+\.)*")
            continue
        separator = r"\." if index and not (index == 1 and elements[0] == "**") else ""
        text += separator + "".join("[^.]*" if part == "*" else re.escape(part) for part in re.split(r"(\*)", element))
    return re.compile(text)
