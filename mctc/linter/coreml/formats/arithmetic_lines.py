"""The engine's arithmetic in a report, in words."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.linter.coreml.engine_numbers import EngineNumbers
from mctc.linter.coreml.formats.words import counted

LIMIT = 32768
SHOWN = 4


def arithmetic_lines(numbers: EngineNumbers | None) -> Iterator[str]:
    """A line for each basis that ops have, and one about sums; nothing without a published arithmetic."""
    if numbers is None:
        return
    for kind, types in numbers.ops.items():
        listed = ", ".join(f"{count} {type_}" for type_, count in types[:SHOWN])
        more = f" and {counted(len(types) - SHOWN, 'type')} more" if len(types) > SHOWN else ""
        yield f"{counted(sum(count for _, count in types), 'op')} {kind}: {listed}{more}"
    if numbers.sums:
        told = "" if numbers.largest is None else f": {numbers.largest:.3g} at most, in {numbers.at}"
        bounded = f"{numbers.bounded} of {counted(numbers.sums, 'op')}"
        yield f"sums of {bounded} are bounded by the file{told} (limit {LIMIT})"
