"""What to say about a token that the grammar does not expect."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mctc.diagnostics.diagnostic import Diagnostic
from mctc.diagnostics.near import did_you_mean
from mctc.diagnostics.source import Span
from mctc.language.tokens import Token

SHOWN = {
    "SEP": "the end of the line",
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": "a string",
    "OPEN_PAREN": "`(`",
    "CLOSE_PAREN": "`)`",
    "OPEN_BRACKET": "`[`",
    "CLOSE_BRACKET": "`]`",
    "OPEN_BRACE": "`{`",
    "CLOSE_BRACE": "`}`",
    "OPEN_SET": "`{`",
    "CLOSE_SET": "`}`",
    "IN": "`in`",
    "COLON": "`:`",
    "COMMA": "`,`",
    "EQUAL": "`=`",
    "ARROW": "`->`",
    "AS": "`as`",
    "ELSE": "`else`",
}
STARTS = frozenset(
    {"NAME", "NUMBER", "STRING", "OPEN_PAREN", "OPEN_BRACKET", "MINUS"}
)  # what an expression starts with
KEYWORDS = (
    *("import", "model", "block", "component", "dim", "param", "repeat", "if", "else", "assert", "return"),
    *("as", "and", "or", "not", "true", "false", "none"),
)


def unexpected(tokens: Sequence[Token], index: int, expected: Collection[str], start: int) -> Diagnostic:
    """The diagnostic for `tokens[index]` in the statement that begins at `start`."""
    token = tokens[index]
    special = (
        _unbound_call(tokens, index, start) or _misspelt_keyword(tokens, index, start) or _reserved(token, expected)
    )
    if special:
        return special
    wanted = _wanted(expected)
    span, found = _place(tokens, index)
    message = f"expected {wanted}, found {found}" if wanted else f"{found} can't stand here"
    return Diagnostic("MCT0020", message, span, _hint(tokens, index, expected))


def _place(tokens: Sequence[Token], index: int) -> tuple[Span, str]:
    token = tokens[index]
    if token.type == "SEP" and index:
        end = tokens[index - 1].span.end
        return Span(token.span.source, end, end), "the end of the line"
    if token.type == "$END":
        return token.span, "the end of the file"
    shown = token.text if len(token.text) <= 40 else token.text[:37] + "..."
    return token.span, f"`{shown}`"


def _wanted(expected: Collection[str]) -> str:
    if _starts(expected):
        return "a value"
    words = [SHOWN[type_] for type_ in SHOWN if type_ in expected]
    if not words or len(words) > 4:
        return ""
    return ", ".join(words[:-1]) + (" or " if len(words) > 1 else "") + words[-1]


def _unbound_call(tokens: Sequence[Token], index: int, start: int) -> Diagnostic | None:
    """`f(x)` or `op.f(x)` as a statement of its own."""
    texts = [token.type for token in tokens[start : index + 1]]
    if texts not in (["NAME", "OPEN_PAREN"], ["NAME", "DOT", "NAME", "OPEN_PAREN"]):
        return None
    span = tokens[start].span.to(tokens[index - 1].span)
    hint = "bind it to a name (`y = ...`) or return it (`return ...`)"
    return Diagnostic("MCT0027", f"the result of `{span.text}` is not used", span, hint)


def _misspelt_keyword(tokens: Sequence[Token], index: int, start: int) -> Diagnostic | None:
    """Two names in a row at the start of a statement: the first was meant as a keyword."""
    if index != start + 1 or tokens[start].type != "NAME" or tokens[index].type not in ("NAME", "STRING", "NUMBER"):
        return None
    word = tokens[start]
    hint = (
        did_you_mean(word.text, (*KEYWORDS, "scan"))
        or "a statement starts with a keyword, or binds a name: `name = value`"
    )
    return Diagnostic("MCT0028", f"`{word.text}` starts no statement", word.span, hint)


def _reserved(token: Token, expected: Collection[str]) -> Diagnostic | None:
    if "NAME" in expected and token.text in KEYWORDS and not _starts(expected):
        return Diagnostic("MCT0029", f"`{token.text}` is a word of the language", token.span, "choose another name")
    return None


def _hint(tokens: Sequence[Token], index: int, expected: Collection[str]) -> str | None:
    token = tokens[index]
    if token.type == "EQUAL" and "SAME" in expected:
        return "to compare, write `==`"
    if token.type in ("OPEN_BRACE", "SEP") and "ARROW" in expected and "OPEN_PAREN" in expected:
        return "a header lists its inputs in round brackets"
    if token.type == "SEP" and "OPEN_BRACE" in expected:
        return "the opening `{` stands on the same line"
    if token.type in ("NAME", "NUMBER", "STRING") and "COMMA" in expected:
        return "is a comma missing before it?"
    return None


def _starts(expected: Collection[str]) -> bool:
    """Whether an expression may begin here."""
    return all(type_ in expected for type_ in STARTS)
