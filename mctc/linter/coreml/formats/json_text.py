"""Values as JSON that every parser takes: pure ASCII, no infinity, no half of a surrogate pair."""

from __future__ import annotations

import json
import re
from typing import Any

ESCAPE = re.compile(r"\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}|\\ud[89a-f][0-9a-f]{2}|\\.")
ENCODE = json.JSONEncoder(allow_nan=False).encode
ALONE = len(r"\ud800")


def json_text(value: Any) -> str:
    """The value on one line. Raises ValueError for a number that is not finite."""
    text = ENCODE(value)
    return ESCAPE.sub(_whole, text) if r"\ud" in text else text


def _whole(match: re.Match[str]) -> str:
    """A half of a pair alone stands for no character: names out of other JSON can hold it."""
    found = match[0]
    return r"\ufffd" if len(found) == ALONE else found
