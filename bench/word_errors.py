"""Words that were heard beside words that were said."""

from __future__ import annotations

import numpy as np

Pair = tuple[str | None, str | None]


def aligned(said: str, heard: str) -> list[Pair]:
    """Pairs of a word said and a word heard, None where one has no counterpart, with the fewest differences."""
    one, other = said.split(), heard.split()
    cost = np.zeros((len(one) + 1, len(other) + 1), int)
    cost[:, 0], cost[0] = np.arange(len(one) + 1), np.arange(len(other) + 1)
    for i, word in enumerate(one, 1):
        for j, found in enumerate(other, 1):
            cost[i, j] = min(cost[i - 1, j] + 1, cost[i, j - 1] + 1, cost[i - 1, j - 1] + (word != found))
    pairs: list[Pair] = []
    i, j = len(one), len(other)
    while i or j:
        if i and j and cost[i, j] == cost[i - 1, j - 1] + (one[i - 1] != other[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((one[i], other[j]))
        elif i and cost[i, j] == cost[i - 1, j] + 1:
            i -= 1
            pairs.append((one[i], None))
        else:
            j -= 1
            pairs.append((None, other[j]))
    return pairs[::-1]


def wrong(pairs: list[Pair]) -> int:
    """How many differ."""
    return sum(said != heard for said, heard in pairs)
