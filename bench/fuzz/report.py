"""A tally for people: as markdown tables, and as a few lines for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from bench.fuzz.tally import Tally

KINDS = {
    "op": "Ops",
    "role": "Axis roles",
    "time": "Time behaviours",
    "stored": "Ways to store",
    "components": "Components",
    "form": "Forms",
    "construct": "Constructs",
    "fed": "Fed with",
}


def markdown(tally: Tally) -> str:
    """The run as markdown."""
    total = f"{tally.programs:,} programs, {tally.broken:,} broken and {tally.damaged:,} damaged ones"
    lines = [f"{total}: {len(tally.failures)} failures.", ""]
    lines += _table(("Runtime", "programs", "largest error"), _runtimes(tally))
    lines += _table(
        ("Refused by", "reason", "programs"), ((s, r, f"{n:,}") for (s, r), n in tally.refused.most_common())
    )
    for kind, title in KINDS.items():
        names = tally.covered.get(kind, Counter())
        told = ", ".join(f"`{name}` {count:,}" for name, count in sorted(names.items(), key=lambda item: -item[1]))
        lines += [f"{title}: {told}.", ""]
    lines += _table(("Failure", "what"), ((f.stage, f.what) for f in tally.failures))
    return "\n".join(lines)


def _runtimes(tally: Tally) -> Iterator[tuple[str, ...]]:
    for name in tally.worst:
        yield name, f"{tally.ran[name]:,}", f"{tally.worst[name]:.1e}"
    for name, count in tally.skipped.items():
        yield name, f"not installed ({count:,})", ""


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """A markdown table; nothing where there are no rows."""
    made = [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *made, ""] if made else []
