"""docs/proof.md lists the battery and the limits as the code has them. MCTC_UPDATE_DOCS=1 writes the lists anew."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mctc.numerics.battery import BATTERY, Item
from mctc.numerics.limits import LIMITS, PREDICTED


def battery() -> Iterator[str]:
    yield "| name | numbers | ids | masks | length |"
    yield "|---|---|---|---|---|"
    for item in BATTERY:
        yield f"| {item.name} | {_told(item.numbers)} | {_told(item.ids)} | {_told(item.marks)} | {_length(item)} |"


def _told(draw: object) -> str:
    return str(draw.__doc__).partition(".")[0].replace("\n    ", " ").lower()


def _length(item: Item) -> str:
    parts = [f"{item.chunks} chunk{'s' * (item.chunks != 1)}"] if item.chunks else []
    return " + ".join([*parts, *([f"{item.steps} of the least"] if item.steps else [])])


def limits() -> Iterator[str]:
    yield "| what | limit | because |"
    yield "|---|---|---|"
    for limit in LIMITS:
        explained = (
            "" if limit.rounding is None else f" (else {PREDICTED:g} x {np.dtype(limit.rounding).name} rounding)"
        )
        yield f"| {limit.name} | {limit}{explained} | {limit.reason} |"


def test_the_page_lists_what_the_code_has(root: Path) -> None:
    page = root / "docs/proof.md"
    text = written = page.read_text(encoding="utf-8")
    for name, lines in (("battery", battery()), ("limits", limits())):
        table = "\n".join(lines)
        written = re.sub(rf"(<!-- {name} -->\n).*?(<!-- end -->)", rf"\1\n{table}\n\n\2", written, flags=re.S)
    if os.environ.get("MCTC_UPDATE_DOCS"):
        page.write_text(written, encoding="utf-8")
        text = written
    assert text == written
