"""Tokens and comments, as the lexer hands them on."""

from __future__ import annotations

from typing import NamedTuple

from mctc.diagnostics.source import Span


class Token(NamedTuple):
    """`type` is the terminal's name in grammar.lark."""

    type: str
    text: str
    span: Span


class Comment(NamedTuple):
    """A comment from its `#` to the end of the line; `alone` when nothing stands before it on its line."""

    text: str
    span: Span
    alone: bool
