"""Types say what a value is: `Any` stays rare where programs are made and read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST = 5  # in 1,000 lines


@pytest.mark.parametrize("room", ["mctc/ir", "mctc/language"])
def test_any_is_rare(room: str) -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / room).rglob("*.py")]
    lines, stands = sum(text.count("\n") for text in texts), sum(len(re.findall(r"\bAny\b", text)) for text in texts)
    assert lines > 1000
    assert 1000 * stands < MOST * lines, f"`Any` stands {stands} times in {lines} lines of {room}"


@pytest.mark.parametrize("room", ["mctc/ir", "mctc/language"])
def test_no_line_silences_mypy(room: str) -> None:
    silenced = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in (ROOT / room).rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if "type: ignore" in line
    ]
    assert not silenced
