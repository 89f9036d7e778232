"""Mutations of a text that keep it made of words: pieces are dropped, doubled, exchanged, replaced and spliced in."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

PIECE = re.compile(r'"(?:\\.|[^"\\\n])*"|[A-Za-z_@%$][\w.]*|\d[\w.]*|->|\*\*|//|[=!<>]=|\.\.\.|\n\s*|\s+|.', re.DOTALL)
NUMBERS = (
    "0",
    "1",
    "2",
    "3",
    "7",
    "8",
    "16",
    "-1",
    "0.5",
    "1e99",
    "1e-99",
    "2147483648",
    "18446744073709551616",
    "9" * 45,
    "9" * 5000,
)
BRACKETS = (("(", ")"), ("[", "]"), ("{", "}"), ("<", ">"))
LONGEST = 64  # pieces that one mutation moves

Pieces = list[str]
Change = Callable[[Pieces, Random, Sequence[str]], None]


def mutate_text(text: str, random: Random, words: Sequence[str], others: Sequence[str]) -> str:
    """`text` after a few mutations: `words` are what may be put in, pieces of `others` are spliced in."""
    pieces = PIECE.findall(text)
    for _ in range(random.choice((1, 1, 1, 2, 3, 5))):
        if others and random.random() < 0.2:
            _splice(pieces, random, PIECE.findall(random.choice(others)))
        else:
            random.choice(CHANGES)(pieces, random, words)
    return "".join(pieces)


def _stretch(pieces: Sequence[str], random: Random) -> slice:
    start = random.randrange(len(pieces) + 1)
    return slice(start, start + random.choice((1, 1, 1, 2, 3, 8, random.randint(1, LONGEST))))


def _drop(pieces: Pieces, random: Random, _: Sequence[str]) -> None:
    del pieces[_stretch(pieces, random)]


def _double(pieces: Pieces, random: Random, _: Sequence[str]) -> None:
    chosen = _stretch(pieces, random)
    pieces[chosen.stop : chosen.stop] = pieces[chosen] * random.choice((1, 1, 2, 40))


def _exchange(pieces: Pieces, random: Random, _: Sequence[str]) -> None:
    if len(pieces) > 1:
        one, other = random.sample(range(len(pieces)), 2)
        pieces[one], pieces[other] = pieces[other], pieces[one]


def _replace(pieces: Pieces, random: Random, words: Sequence[str]) -> None:
    """One piece by another of its kind: a number by a number, a word by a word."""
    places = [at for at, piece in enumerate(pieces) if not piece.isspace()]
    if not places:
        return
    at = random.choice(places)
    kind = _kind(pieces[at])
    others = [piece for piece in pieces if _kind(piece) == kind] if random.random() < 0.6 else words
    pieces[at] = random.choice(NUMBERS if kind == "number" and random.random() < 0.7 else others)


def _kind(piece: str) -> str:
    first = piece[:1]
    return "number" if first.isdigit() else "word" if first.isalpha() else first if first in tuple('"@%') else ""


def _lines(pieces: Sequence[str], random: Random) -> slice:
    """One to three whole lines, without the break before them."""
    breaks = [-1, *(at for at, piece in enumerate(pieces) if "\n" in piece)]
    first = random.randrange(len(breaks))
    last = first + random.choice((1, 1, 1, 2, 3))
    return slice(breaks[first] + 1, breaks[last] + 1 if last < len(breaks) else len(pieces))


def _move_lines(pieces: Pieces, random: Random, _: Sequence[str]) -> None:
    """Whole lines go, are doubled, or stand elsewhere."""
    chosen = _lines(pieces, random)
    moved = pieces[chosen]
    if random.random() < 0.7:
        del pieces[chosen]
    if random.random() < 0.7:
        at = _lines(pieces, random).start
        pieces[at:at] = moved


def _insert(pieces: Pieces, random: Random, words: Sequence[str]) -> None:
    at = random.randrange(len(pieces) + 1)
    pieces[at:at] = [random.choice(("", " ")), random.choice(words), random.choice(("", " "))]


def _enclose(pieces: Pieces, random: Random, _: Sequence[str]) -> None:
    chosen, (opener, closer) = _stretch(pieces, random), random.choice(BRACKETS)
    times = random.choice((1, 1, 1, 2, 60, 1500))
    pieces[chosen] = [opener * times, *pieces[chosen], closer * times]


def _rename(pieces: Pieces, random: Random, _: Sequence[str]) -> None:
    """All uses of one word become another word of the text."""
    words = sorted({piece for piece in pieces if piece[:1].isalpha()})
    if len(words) > 1:
        one, other = random.sample(words, 2)
        pieces[:] = [other if piece == one else piece for piece in pieces]


def _splice(pieces: Pieces, random: Random, other: Pieces) -> None:
    """A stretch or whole lines of another text, in the place of as many here or between them."""
    cut = random.choice((_stretch, _lines, _lines))
    here, there = cut(pieces, random), cut(other, random)
    pieces[here if random.random() < 0.5 else slice(here.start, here.start)] = other[there]


CHANGES: tuple[Change, ...] = (
    *(_replace, _replace, _replace, _replace, _move_lines, _move_lines, _rename, _rename),
    *(_drop, _double, _exchange, _insert, _enclose),
)
