"""Letters as tokens: 0 is the blank, then the letters, the space and a few marks.

python letters.py > letters.txt, and mctc build --tokens letters.txt
"""

from __future__ import annotations

LETTERS = " abcdefghijklmnopqrstuvwxyz',."


def encode(text: str) -> list[int]:
    """Token ids of a text; what is no letter here becomes a space."""
    return [LETTERS.find(letter) + 1 or 1 for letter in " ".join(text.lower().split())]


if __name__ == "__main__":
    for letter in LETTERS:
        print(letter.replace(" ", "\N{LOWER ONE EIGHTH BLOCK}"))
