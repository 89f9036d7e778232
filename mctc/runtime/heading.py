"""What a text says of itself before it begins: `language English` in front of the label that ends a heading."""

from __future__ import annotations

from collections.abc import Sequence

from mctc.tokens import Tokens

LANGUAGE = "language "
UNKNOWN = "none"  # the language of a recording in which nothing is said


def parted(labels: Sequence[int], heading: int | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The labels before the first that ends a heading, and those behind it; no heading where there is none such."""
    if heading is None or heading not in labels:
        return (), tuple(labels)
    at = list(labels).index(heading)
    return tuple(labels[:at]), tuple(labels[at + 1 :])


def language_of(tokens: Tokens, heading: Sequence[int]) -> str | None:
    """The language that a heading names: `language NAME` in its first line. None for another heading, and for the name
    None."""
    first = next((line.strip() for line in tokens.text(heading).splitlines() if line.strip()), "")
    name = first[len(LANGUAGE) :].strip() if first.lower().startswith(LANGUAGE) else ""
    return name if name and name.lower() != UNKNOWN else None
