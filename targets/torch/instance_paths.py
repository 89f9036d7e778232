"""What lies inside which instance, by dotted paths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def around(path: str) -> Iterator[str]:
    """The paths that a path lies inside, the outermost first; not itself."""
    at = path.find(".")
    while at >= 0:
        yield path[:at]
        at = path.find(".", at + 1)


def inside(names: Iterable[str]) -> dict[str, list[str]]:
    """The names that lie inside each path, in their order."""
    found: dict[str, list[str]] = {}
    for name in names:
        for path in around(name):
            found.setdefault(path, []).append(name)
    return found
