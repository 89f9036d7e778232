"""Letters: a list of symbols, in order of their ids."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from mctc.tokens.errors import TokensError
from mctc.tokens.table import Tokens

KIND = "letters"
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # how lists of symbols write a space, as SentencePiece does
SPECIAL = re.compile(r"<[^<>\s]+>|\[[A-Z]{2,}\]")  # names such as <blank>, <unk>, [PAD]: no text
NUMBERED = re.compile(r"(\S+)[ \t]+(\d+)")


def of_symbols(symbols: Sequence[str]) -> Tokens:
    """Tokens of letters, or of whatever symbols stand for text as they are. Raises TokensError."""
    if not symbols:
        raise TokensError("there are no letters")
    _refuse_repeated((symbol, None) for symbol in symbols)
    for symbol in symbols:
        if not symbol or "\0" in symbol:
            raise TokensError(f"{symbol!r} is no letter")
    return Tokens(KIND, tuple(symbol.encode() for symbol in symbols))


def of_lines(text: str) -> Tokens:
    """Tokens of a list: a symbol a line, in order, or each with its id behind it. Raises TokensError with the line."""
    lines = [(line, number) for number, line in enumerate(text.splitlines(), 1) if line]
    if not lines:
        raise TokensError("it names no symbol")
    numbered = [NUMBERED.fullmatch(line) for line, _ in lines]
    if all(numbered):
        lines = [(match[1], number) for match, (_, number) in _in_order(zip(numbered, lines))]
    _refuse_repeated(lines)
    return of_names([symbol for symbol, _ in lines])


def of_names(symbols: Sequence[str], space: str = SPACE) -> Tokens:
    """Tokens of symbols some of which are names such as <unk>; `space` stands for white space."""
    special = {token: symbol for token, symbol in enumerate(symbols) if SPECIAL.fullmatch(symbol)}
    pieces = tuple(b"" if at in special else each.replace(space, " ").encode() for at, each in enumerate(symbols))
    return Tokens(KIND, pieces, special)


def of_table(ids: Mapping[str, int], space: str) -> Tokens:
    """Tokens of symbols with their ids, such as the vocab.json of a CTC model. Raises TokensError."""
    names = sorted(ids, key=lambda name: ids[name])
    if [ids[name] for name in names] != list(range(len(names))):
        raise TokensError("its ids are not 0, 1, 2 and so on")
    return of_names(names, space)


def _in_order(
    rows: Iterable[tuple[re.Match[str] | None, tuple[str, int]]],
) -> list[tuple[re.Match[str], tuple[str, int]]]:
    """Numbered lines by their numbers, which have to be 0, 1, 2 and so on."""
    found = sorted(((match, row) for match, row in rows if match), key=lambda each: int(each[0][2]))
    for expected, (match, (_, number)) in enumerate(found):
        if int(match[2]) != expected:
            told = f"id {match[2]} stands twice" if int(match[2]) < expected else f"no symbol has id {expected}"
            raise TokensError(told, line=number)
    return found


def _refuse_repeated(symbols: Iterable[tuple[str, int | None]]) -> None:
    first: dict[str, int | None] = {}
    for symbol, line in symbols:
        if symbol in first:
            before = "" if first[symbol] is None else f", the first time in line {first[symbol]}"
            raise TokensError(f"{symbol!r} stands twice{before}", line=line)
        first[symbol] = line
