"""Tokens that are times: `<|0.00|>`, `<|0.02|>`, ..., one step after another."""

from __future__ import annotations

import re

from mctc.records import dataclass
from mctc.tokens.table import Tokens

TIME = re.compile(r"<\|(\d+\.\d\d)\|>")
NO_TIMES = "<|notimestamps|>"  # what a prompt says where a text has none


@dataclass(frozen=True)
class TimeTokens:
    """zero: the id of 0.00 s, behind which there are nothing but times. step_s: from one to the next. without: the id
    that says that there are none."""

    zero: int
    step_s: float
    without: int | None


def times_of(tokens: Tokens) -> TimeTokens | None:
    """The times of a table; None where its last ids are no times in even steps from 0."""
    told = {token: float(found[1]) for token, name in tokens.special.items() if (found := TIME.fullmatch(name))}
    if len(told) < 2:
        return None
    zero, step = min(told), min(time for time in told.values() if time)
    even = all(abs(told.get(zero + at, -1.0) - at * step) < step / 2 for at in range(tokens.size - zero))
    without = next((token for token, name in tokens.special.items() if name == NO_TIMES), None)
    return TimeTokens(zero, step, without) if even else None
