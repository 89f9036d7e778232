"""Letters as tokens: 0 is the blank, then the letters, the space and a few marks.

mctc run BUILD --speech --json | python letters.py
"""

from __future__ import annotations

import json
import sys

LETTERS = " abcdefghijklmnopqrstuvwxyz',."


def encode(text: str) -> list[int]:
    """Token ids of a text; what is no letter here becomes a space."""
    return [LETTERS.find(letter) + 1 or 1 for letter in " ".join(text.lower().split())]


def decode(tokens: list[int]) -> str:
    return "".join(LETTERS[token - 1] for token in tokens)


if __name__ == "__main__":
    print(decode([entry["token"] for entry in json.load(sys.stdin)["tokens"]]))
