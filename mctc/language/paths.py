"""Path patterns over parameter names."""

from __future__ import annotations

from collections.abc import Sequence


def parse_pattern(text: str) -> tuple[tuple[str, ...], ...]:
    """The elements of a pattern's text, as QuantizeRule holds it: 'encoder.**.{in_proj, out_proj}'."""
    elements: list[tuple[str, ...]] = []
    rest = text
    while rest:
        if rest.startswith("{"):
            inner, _, rest = rest[1:].partition("}")
            elements.append(tuple(part.strip() for part in inner.split(",")))
            rest = rest.removeprefix(".")
        else:
            word, _, rest = rest.partition(".")
            elements.append((word,))
    return tuple(elements)


def matches(pattern: Sequence[Sequence[str]], name: str) -> bool:
    """Whether a pattern matches a parameter's name or a path above it: encoder.** matches encoder.norm.weight.

    `*` is one element, `**` any number of them, {a, b} one of several.
    """
    path = name.split(".")
    reached = {0}  # positions in the path that the pattern read so far can end at
    for element in pattern:
        if "**" in element:
            reached = set(range(min(reached), len(path) + 1)) if reached else reached
            continue
        reached = {at + 1 for at in reached if at < len(path) and ("*" in element or path[at] in element)}
    return bool(reached)
