"""Tokens to syntax tree: lark's LALR tables, driven statement by statement so that one run finds several errors."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from mctc.diagnostics.diagnostic import Diagnostic, DiagnosticError
from mctc.diagnostics.source import SourceFile, Span
from mctc.language import syntax
from mctc.language.expectation import unexpected
from mctc.language.lexer import Lexed, Lexer, TerminalTable
from mctc.language.tokens import Comment, Token
from mctc.language.tree import TreeBuilder

if TYPE_CHECKING:
    from lark import Lark
    from lark.parsers.lalr_parser_state import ParseConf

MOST = 20  # syntax errors reported for one file


class LalrState(Protocol):
    """The state of lark's parser, which takes tokens of any class that has a `type`."""

    parse_conf: ParseConf[int]
    state_stack: list[int]
    value_stack: list[object]

    def feed_token(self, token: Token, is_end: bool = False) -> object: ...


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


def parse_all(source: SourceFile) -> Parsed:
    """The syntax tree, the comments and the problems of a file; never raises."""
    table, lark = _grammar()
    lexed = Lexer(source, table).run()
    statements, problems = _drive(lark, lexed, source)
    found = sorted(lexed.problems + problems, key=lambda problem: problem.span.start if problem.span else 0)
    return Parsed(syntax.File(source, statements), lexed.comments, found[:MOST])


def _drive(lark: Lark, lexed: Lexed, source: SourceFile) -> tuple[tuple[syntax.Statement, ...], list[Diagnostic]]:
    """Feeds the tokens. At an error the statement it stands in is dropped and parsing goes on behind it."""
    from lark.exceptions import UnexpectedToken

    state = cast(LalrState, lark.parse_interactive().parser_state)
    tokens = lexed.tokens
    end = Token("$END", "", Span(source, len(source.text), len(source.text)))
    problems: list[Diagnostic] = []
    noise = _Noise(lexed, source)
    checkpoint = (0, list(state.state_stack), list(state.value_stack))
    index, stuck, errors, fresh = 0, -1, 0, True
    while index < len(tokens):
        token = tokens[index]
        if fresh:
            checkpoint = (index, list(state.state_stack), list(state.value_stack))
        try:
            state.feed_token(token)
        except UnexpectedToken as error:
            errors += 1
            if len(problems) >= MOST or errors > 10 * MOST:
                break
            if token not in noise:
                problems.append(unexpected(tokens, index, error.expected, checkpoint[0]))
            start, state.state_stack[:], state.value_stack[:] = checkpoint
            reached = _skip(tokens, start, index)
            fresh = reached == index == stuck  # what ends the statement is at fault itself
            stuck, index = index, reached + fresh
            if index < len(tokens) and tokens[index].type == "SEP" and not _accepts(state, "SEP"):
                index, fresh = index + 1, True
            continue
        fresh = token.type in ("SEP", "OPEN_BRACE")
        index += 1
    statements, expected = _finish(state, end)
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


def _finish(state: LalrState, end: Token) -> tuple[tuple[syntax.Statement, ...], Collection[str]]:
    """The statements; where the file can't end here, none, and what was expected. It can't behind a dropped statement
    either, which left a separator: what was reported then is all there is to say."""
    from lark.exceptions import UnexpectedToken

    try:
        result = state.feed_token(end, True)
    except UnexpectedToken as error:
        return (), error.expected
    assert isinstance(result, tuple)  # what the tree's builder makes of `start`
    return result, ()


def _accepts(state: LalrState, type_: str) -> bool:
    return type_ in state.parse_conf.states[state.state_stack[-1]]


def _skip(tokens: list[Token], start: int, index: int) -> int:
    """The index of the separator or closing brace that ends the statement which begins at `start`."""
    depth = 0
    for at in range(start, len(tokens)):
        type_ = tokens[at].type
        if at >= index and depth <= 0 and (type_ == "SEP" or type_ == "CLOSE_BRACE"):
            return at
        depth += (type_ == "OPEN_BRACE") - (type_ == "CLOSE_BRACE")
    return len(tokens)


@lru_cache(maxsize=1)
def _grammar() -> tuple[TerminalTable, Lark]:
    """The terminals and the parser; the parse tables come from a cache file where one can be written."""
    import logging

    from lark import Lark

    text = resources.files("mctc.language").joinpath("grammar.lark").read_text(encoding="utf-8")
    logging.getLogger("lark").setLevel(logging.CRITICAL)  # an unwritable cache is no one's concern
    cache = _cache_file(text)
    lark = Lark(
        text,
        parser="lalr",
        lexer="basic",
        keep_all_tokens=True,
        maybe_placeholders=False,
        transformer=TreeBuilder(),
        cache=str(cache) if cache else False,
    )
    patterns = {t.name: (type(t.pattern).__name__ == "PatternRE", t.pattern.value) for t in lark.terminals}
    return TerminalTable(patterns), lark


def _cache_file(grammar: str) -> Path | None:
    """A file of the user's cache folder named by everything the tables depend on, or None without such a folder."""
    import sys
    from zlib import crc32

    import lark
    import platformdirs

    from mctc.version import __version__

    key = crc32(f"{grammar}{lark.__version__}{sys.version}{__version__}".encode())
    folder = Path(platformdirs.user_cache_dir("mctc"))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = folder / f"grammar-{key:08x}.lark"
        if not probe.exists():
            probe.touch()
            probe.unlink()
    except OSError:
        return None
    return probe
