"""Findings of one function at several sizes as one list: each says at which sizes it holds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace

from mctc.linter.coreml.judge import Seen
from mctc.linter.coreml.rule import listed
from mctc.linter.coreml.sizes import Size
from mctc.records import dataclass

NUMBERS = re.compile(r"\d[\d.,x]*")
SHOWN = 2


@dataclass(frozen=True)
class HeldAt:
    """What a rule says, and the sizes at which it does: empty where the function has one size only."""

    seen: Seen
    sizes: tuple[str, ...] = ()


def merge(at_sizes: Sequence[tuple[Size | None, Sequence[Seen]]]) -> Iterator[HeldAt]:
    """Each finding once, in the words of the first size at which it holds; the main size comes first.

    What is covered at every size at which it holds is left out.
    """
    if len(at_sizes) == 1:
        size, seen = at_sizes[0]
        named = () if size is None else (str(size),)
        yield from (HeldAt(each, named) for each in seen if not each.covered)
        return
    groups = _grouped([(size, each) for size, seen in at_sizes if size is not None for each in seen])
    for group in groups:
        if all(each.covered for _, each in group):
            continue
        first = group[0][1]
        where = _where([size for size, _ in group], len(at_sizes), len({each.message for _, each in group}) > 1)
        message = f"{first.message}; {where}" if where else first.message
        yield HeldAt(replace(first, message=message), tuple(str(size) for size, _ in group))


def _grouped(found: Sequence[tuple[Size, Seen]]) -> list[list[tuple[Size, Seen]]]:
    """Findings of several sizes that are one: about some op that they share, or in words that differ in numbers."""
    groups: list[list[tuple[Size, Seen]]] = []
    known: dict[Hashable, list[tuple[Size, Seen]]] = {}
    counts: Counter[Hashable] = Counter()
    for size, each in found:
        said = (each.rule.code, each.function, each.ops or NUMBERS.sub("#", each.message))
        counts[id(size), said] += 1
        keys = [(said, counts[id(size), said])]
        keys += [(each.rule.code, each.function, index) for index in each.ops]  # type: ignore[misc]
        group = next((known[key] for key in keys if key in known and known[key][-1][0] is not size), None)
        if group is None:
            group = []
            groups.append(group)
        group.append((size, each))
        known.update((key, group) for key in keys if key not in known)
    return groups


def _where(sizes: Sequence[Size], judged: int, varies: bool) -> str:
    """'only at mel=1x80x3000 (greatest)'; nothing where it is the same at every size."""
    if len(sizes) == judged:
        return f"at {sizes[0].label} and in other figures at every other size" if varies else ""
    named = listed((size.label for size in sizes), SHOWN)
    return f"only at {named}"
