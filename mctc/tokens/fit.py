"""Tokens over a vocabulary: as many as it has classes, with the blank at its place."""

from __future__ import annotations

from dataclasses import replace

from mctc.tokens.errors import TokensError
from mctc.tokens.letters import KIND as LETTERS
from mctc.tokens.table import Tokens

BLANK = "<blank>"


def fitted(tokens: Tokens, classes: int, blank: int | None) -> Tokens:
    """Tokens by class. A vocabulary with a blank has one class more than tokens, which is the blank, or the blank is
    a token that is no text. One without a blank may have more classes, which are never meant; letters are exact.

    Raises TokensError with what does not fit.
    """
    there = "there is 1 token" if tokens.size == 1 else f"there are {tokens.size:,} tokens"
    vocabulary = f"the vocabulary has {classes:,} classes"
    if blank is None:
        if tokens.size > classes or (tokens.kind == LETTERS and tokens.size < classes):
            raise TokensError(f"{there}, and {vocabulary}")
        return tokens
    if tokens.size == classes:
        if tokens.pieces[blank] and blank not in tokens.special:
            told = tokens.pieces[blank].decode("utf-8", "replace")
            hint = f"a vocabulary of {classes + 1:,} classes has room for a blank beside the tokens"
            raise TokensError(f"the blank is class {blank}, and the tokens have {told!r} there", hint=hint)
        return replace(tokens, pieces=(*tokens.pieces[:blank], b"", *tokens.pieces[blank + 1 :]), blank=blank)
    if tokens.size != classes - 1:
        hint = f"{tokens.size + 1:,} classes are a blank and all tokens"
        raise TokensError(f"{there}, and {vocabulary}, one of them the blank", hint=hint)
    pieces = (*tokens.pieces[:blank], b"", *tokens.pieces[blank:])
    special = {token + (token >= blank): name for token, name in tokens.special.items()}
    return replace(tokens, pieces=pieces, special={**special, blank: BLANK}, blank=blank, inserted=True)
