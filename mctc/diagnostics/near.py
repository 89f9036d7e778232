"""Near names for "did you mean"."""

from __future__ import annotations

from collections.abc import Iterable


def near_names(name: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """Up to `limit` known names that resemble `name`, the nearest first."""
    from difflib import get_close_matches

    candidates = sorted(set(known))[:2000]
    lowered = {candidate.lower(): candidate for candidate in candidates}
    found = get_close_matches(str(name)[:80].lower(), lowered, limit, 0.6)
    return [lowered[match] for match in found]


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A hint with near names, or None when nothing is near."""
    names = [f"`{near}`" for near in near_names(name, known)]
    if not names:
        return None
    return "did you mean " + (", ".join(names[:-1]) + " or " if len(names) > 1 else "") + names[-1] + "?"


def listing(names: Iterable[str], limit: int = 8) -> str:
    """`a`, `b` and `c`, cut after `limit` names."""
    quoted = [f"`{name}`" for name in names]
    if len(quoted) > limit:
        return ", ".join(quoted[:limit]) + f" and {len(quoted) - limit} more"
    return (", ".join(quoted[:-1]) + " and " if len(quoted) > 1 else "") + "".join(quoted[-1:])
