"""Tokens to syntax tree, statement by statement, so that one run finds several errors."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple

from mctc.diagnostics.diagnostic import Diagnostic, DiagnosticError
from mctc.diagnostics.source import SourceFile, Span
from mctc.language import syntax
from mctc.language.expectation import unexpected
from mctc.language.lalr import END, Machine, UnexpectedTokenError, tables
from mctc.language.lexer import Lexed, Lexer, TerminalTable
from mctc.language.tokens import Comment, Token
from mctc.language.tree import TreeBuilder

MOST = 20  # syntax errors reported for one file


class Parsed(NamedTuple):
    """`file` holds the statements that could be read, whatever the problems."""

    file: syntax.File
    comments: list[Comment]
    problems: list[Diagnostic]


def parse(source: SourceFile) -> syntax.File:
    """The syntax tree of a file. Raises DiagnosticError with every syntax error found."""
    parsed = parse_all(source)
    if parsed.problems:
        raise DiagnosticError(parsed.problems)
    return parsed.file


def parse_all(source: SourceFile, start: int = 0, end: int | None = None) -> Parsed:
    """The syntax tree, the comments and the problems of a file, or of whole statements in it; never raises."""
    lexed = Lexer(source, _terminals()).run(start, end)
    statements, problems = _drive(Machine(tables(), TreeBuilder()), lexed, source)
    found = sorted(lexed.problems + problems, key=lambda problem: problem.span.start if problem.span else 0)
    return Parsed(syntax.File(source, statements), lexed.comments, found[:MOST])


@lru_cache(maxsize=1)
def _terminals() -> TerminalTable:
    return TerminalTable(tables().terminals)


def _drive(state: Machine, lexed: Lexed, source: SourceFile) -> tuple[tuple[syntax.Statement, ...], list[Diagnostic]]:
    """Feeds the tokens. At an error the statement it stands in is dropped and parsing goes on behind it."""
    tokens = lexed.tokens
    end = Token(END, "", Span(source, len(source.text), len(source.text)))
    problems: list[Diagnostic] = []
    noise = _Noise(lexed, source)
    checkpoint = (0, list(state.states), list(state.values))
    index, stuck, errors, fresh = 0, -1, 0, True
    while index < len(tokens):
        token = tokens[index]
        if fresh:
            checkpoint = (index, list(state.states), list(state.values))
        try:
            state.feed(token)
        except UnexpectedTokenError as error:
            errors += 1
            if len(problems) >= MOST or errors > 10 * MOST:
                break
            if token not in noise:
                problems.append(unexpected(tokens, index, error.expected, checkpoint[0]))
            start, state.states[:], state.values[:] = checkpoint
            reached = _skip(tokens, start, index)
            fresh = reached == index == stuck  # what ends the statement is at fault itself
            stuck, index = index, reached + fresh
            if index < len(tokens) and tokens[index].type == "SEP" and not state.accepts("SEP"):
                index, fresh = index + 1, True
            continue
        fresh = token.type in ("SEP", "OPEN_BRACE")
        index += 1
    statements, expected = _finish(state)
    if expected and not problems and not lexed.problems:
        problems.append(unexpected([*tokens, end], len(tokens), expected, checkpoint[0]))
    return statements, problems


class _Noise:
    """Tokens whose errors follow from a problem of the lexer: those on its line, and those inside a broken bracket."""

    def __init__(self, lexed: Lexed, source: SourceFile) -> None:
        self.source, self.ranges = source, lexed.noise
        self.lines = {source.position(problem.span.start)[0] for problem in lexed.problems if problem.span is not None}

    def __contains__(self, token: Token) -> bool:
        at = token.span.start
        return self.source.position(at)[0] in self.lines or any(start <= at <= end for start, end in self.ranges)


def _finish(state: Machine) -> tuple[tuple[syntax.Statement, ...], Collection[str]]:
    """The statements; where the file can't end here, none, and what was expected. It can't behind a dropped statement
    either, which left a separator: what was reported then is all there is to say."""
    try:
        result = state.finish()
    except UnexpectedTokenError as error:
        return (), error.expected
    assert isinstance(result, tuple)  # what the tree's builder makes of `start`
    return result, ()


def _skip(tokens: list[Token], start: int, index: int) -> int:
    """The index of the separator or closing brace that ends the statement which begins at `start`."""
    depth = 0
    for at in range(start, len(tokens)):
        type_ = tokens[at].type
        if at >= index and depth <= 0 and (type_ == "SEP" or type_ == "CLOSE_BRACE"):
            return at
        depth += (type_ == "OPEN_BRACE") - (type_ == "CLOSE_BRACE")
    return len(tokens)
