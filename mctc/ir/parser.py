"""Text to syntax nodes, with lark."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from lark import Lark, UnexpectedInput
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken, VisitError

from mctc.ir.program_nodes import ProgramNodes
from mctc.ir.syntax import IrSyntaxError, ProgramText

NESTING = 100
BRACKET = re.compile(r'"(?:\\.|[^"\\\n])*"|#[^\n]*|[(\[{)\]}]')
READABLE = {  # what the grammar's terminals are called in messages
    "GLOBAL": "a @name",
    "LOCAL": "a %value",
    "STRING": "a string",
    "DTYPE": "a type",
    "ROLE": "a role",
    "FLOAT": "a number",
    "INT": "a whole number",
    "NAME": "a name",
    "DOTTED": "a name",
    "$END": "the end of the text",
}


def parse(text: str) -> ProgramText:
    """Syntax nodes of a text. Raises IrSyntaxError with the place and what was expected there."""
    _check_nesting(text)
    try:
        result: object = _lark().parse(text)
    except UnexpectedInput as error:
        raise _located(error, text) from None
    except VisitError as error:
        if isinstance(error.orig_exc, IrSyntaxError):
            raise error.orig_exc from None
        raise
    assert isinstance(result, ProgramText)
    return result


def _check_nesting(text: str) -> None:
    depth = 0
    for match in BRACKET.finditer(text):
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(match.group(), 0)
        if depth > NESTING:
            start = text.rfind("\n", 0, match.start()) + 1
            line = text.count("\n", 0, start) + 1
            raise IrSyntaxError(f"more than {NESTING} brackets inside one another", line, match.start() - start + 1)


@lru_cache(maxsize=1)
def _lark() -> Lark:
    grammar = Path(__file__).with_name("text.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", maybe_placeholders=True, transformer=ProgramNodes())


def _located(error: UnexpectedInput, text: str) -> IrSyntaxError:
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        found, line, column, expected = (
            repr(str(error.token)),
            error.line,
            error.column,
            error.accepts or error.expected,
        )
    elif isinstance(error, UnexpectedCharacters):
        found, line, column = repr(text[error.pos_in_stream or 0]), error.line, error.column
        expected = set(error.allowed or ())
    else:
        lines = text.splitlines() or [""]
        found, line, column = "the end of the text", len(lines), len(lines[-1]) + 1
        expected = set(error.expected) if isinstance(error, (UnexpectedEOF, UnexpectedToken)) else set()
    wanted = sorted(map(_readable, expected))
    return IrSyntaxError(f"expected {' or '.join(wanted) or 'something else'}, found {found}", line, column)


def _readable(terminal: str) -> str:
    if terminal in READABLE:
        return READABLE[terminal]
    pattern = next((t.pattern.value for t in _lark().terminals if t.name == terminal), terminal)
    return repr(pattern)
