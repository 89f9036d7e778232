"""Source text to tokens: comments set aside, lines joined inside brackets, brackets always balanced in the result."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field

from mctc.diagnostics.diagnostic import Diagnostic, Note
from mctc.diagnostics.source import SourceFile, Span
from mctc.language.limits import LITERAL, NAME, NESTING, TOKENS
from mctc.language.tokens import Comment, Token
from mctc.records import dataclass

SET = "in {"  # the brace of a set of numbers: unlike others it stands inside brackets and holds no statements
OPENERS = {"(": ")", "[": "]", "{": "}", SET: "}"}
CLOSERS = {")": "(", "]": "[", "}": "{"}
# A line that ends with one of these goes on in the next.
COMPARING = ("LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL", "SAME", "DIFFERENT", "AND", "OR", "NOT")
ARITHMETIC = ("PLUS", "MINUS", "STAR", "SLASH", "FLOOR", "PERCENT", "POWER", "AT")
CONTINUES = frozenset(("EQUAL", "COMMA", "ARROW", "COLON", "DOT", *ARITHMETIC, *COMPARING))
# At the start of a line these begin a statement, so a bracket that is still open was forgotten.
STATEMENTS = frozenset(("IMPORT", "MODEL", "BLOCK", "COMPONENT", "DIM", "PARAM", "REPEAT", "RETURN", "ASSERT"))
OPERATORS = CONTINUES - {"EQUAL", "COMMA", "ARROW", "COLON"} | {"IF", "ELSE"}
FOREIGN = {
    "'": 'strings are written with double quotes: "like this"',
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not`, or `!=` for different",
    "^": "write `**` for a power",
    "?": "a choice is written `a if condition else b`",
}
ESCAPE = re.compile(r"\\(.)", re.DOTALL)


@dataclass
class Lexed:
    tokens: list[Token] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    problems: list[Diagnostic] = field(default_factory=list)
    noise: list[tuple[int, int]] = field(default_factory=list)  # where a bracket error makes the structure a guess


class TerminalTable:
    """The terminals of the grammar, sorted for the lexer: keywords, symbols, and the one expression that finds them."""

    def __init__(self, patterns: Mapping[str, tuple[bool, str]]) -> None:
        """`patterns`: terminal name -> (whether it is a regular expression, its text)."""
        literal = {text: name for name, (is_pattern, text) in patterns.items() if not is_pattern}
        self.keywords = {text: name for text, name in literal.items() if text.isalpha()}
        self.symbols = {text: name for text, name in literal.items() if not text.isalpha()}
        symbols = "|".join(re.escape(text) for text in sorted(self.symbols, key=len, reverse=True))
        word, number, string = (patterns[name][1] for name in ("NAME", "NUMBER", "STRING"))
        self.scan = re.compile(
            rf"(?P<gap>[ \t\r]+)|(?P<line>[\n;])|(?P<comment>#[^\n]*)|(?P<word>{word})|(?P<number>{number})"
            rf"|(?P<string>{string})|(?P<symbol>{symbols})|(?P<open>\"[^\n]*)|(?P<other>[^\s\w\"#]+|.)",
            re.ASCII,
        )


class Lexer:
    """One pass over one source file."""

    def __init__(self, source: SourceFile, table: TerminalTable) -> None:
        self.source, self.table, self.out = source, table, Lexed()
        self.brackets: list[tuple[str, Span]] = []
        self.depth = [0]  # operators since the last comma, one entry per open bracket
        self.nested = 0
        self.break_pending, self.hard_break, self.fresh_line = False, False, True

    def run(self, start: int = 0, end: int | None = None) -> Lexed:
        """The tokens of the text, or of a part of it that holds whole statements."""
        text = self.source.text
        for match in self.table.scan.finditer(text, start, len(text) if end is None else end):
            kind = match.lastgroup or ""
            if kind == "gap":
                continue
            span = Span(self.source, match.start(), match.end())
            if kind == "line":
                self._line(match.group())
            elif kind == "comment":
                self.out.comments.append(Comment(match.group().rstrip(), span, self.fresh_line))
            else:
                self._token(kind, match.group(), span)
                self.fresh_line = False
            if len(self.out.tokens) > TOKENS or self.nested > NESTING:
                self._limit(span)
                break
        else:
            self._close_until(len(self.brackets), Span(self.source, len(self.source.text), len(self.source.text)))
        return self.out

    def _line(self, text: str) -> None:
        if text == "\n":
            self.fresh_line = True
        if not self.brackets or self.brackets[-1][0] == "{":
            self.break_pending = True
            self.hard_break |= text == ";"
        elif text == ";":
            end = self.out.tokens[-1].span.end
            self._close_until(self._open_inside_braces(), Span(self.source, end, end))
            self.break_pending = self.hard_break = True

    def _token(self, kind: str, text: str, span: Span) -> None:
        if kind == "word":
            if len(text) > NAME:
                told = f"a name of {len(text):,} characters is too long"
                self._problem("MCT0030", told, span, f"at most {NAME}")
            behind_type = self._last() == "CLOSE_BRACKET" and not self.break_pending
            self._emit("IN" if text == "in" and behind_type else self.table.keywords.get(text, "NAME"), text, span)
        elif kind == "number":
            self._number(text, span)
        elif kind == "string":
            self._string(text, span)
        elif kind == "symbol":
            self._symbol(text, span)
        elif kind == "open":
            self._problem("MCT0022", "this string is never closed", span, 'a string ends with `"` on the same line')
            self._emit("STRING", '""', span)
        else:
            what = "these characters mean" if len(text) > 1 else "this character means"
            self._problem("MCT0021", f"{what} nothing in .mct: `{text[:20]}`", span, FOREIGN.get(text[0]))

    def _number(self, text: str, span: Span) -> None:
        if len(text) > LITERAL:
            self._problem("MCT0008", f"a number of {len(text)} characters is too long", span, f"at most {LITERAL}")
            text = "0"
        elif "__" in text or re.search(r"_(\D|$)", text):
            self._problem(
                "MCT0025", f"`{text}` is not a number", span, "an underscore stands between two digits: 16_000"
            )
            text = "0"
        self._emit("NUMBER", text, span)

    def _string(self, text: str, span: Span) -> None:
        for escape in ESCAPE.finditer(text):
            if escape.group(1) not in '\\"nt':
                at = Span(self.source, span.start + escape.start(), span.start + escape.end())
                hint = 'the escapes are \\\\ \\" \\n \\t'
                self._problem("MCT0026", f"`{escape.group()}` is not an escape", at, hint)
        self._emit("STRING", text, span)

    def _symbol(self, text: str, span: Span) -> None:
        if text in CLOSERS:
            self._close(text, span)
            return
        opener = SET if text == "{" and self._last() == "IN" else text
        if opener == "{":
            self._close_until(self._open_inside_braces(), span)
        self._emit(self._type(text, opener), text, span)
        if text in OPENERS:
            self.brackets.append((opener, span))
            self.nested += 1
            self.depth.append(0)

    def _close(self, text: str, span: Span) -> None:
        opener = SET if text == "}" and self._inside_set() else CLOSERS[text]
        if opener == "{":
            self._close_until(self._open_inside_braces(), span)
        else:
            self._close_until(self._open_until(opener), span)
        if not self.brackets or self.brackets[-1][0] != opener:
            self.out.noise.append((span.start, len(self.source.text) if opener == "{" else span.end))
            note = (Note(f"`{self.brackets[-1][0]}` was opened here", self.brackets[-1][1]),) if self.brackets else ()
            self._problem("MCT0024", f"`{text}` closes nothing", span, "remove it, or open it before", note)
            return
        self.brackets.pop()
        self.nested -= 1 + self.depth.pop()
        if opener == "{":
            self.break_pending = self.hard_break = False
            self._reset_depth()
        else:  # f(x)(y)[0] nests too
            self.depth[-1] += 1
            self.nested += 1
        self._emit(self._type(text, opener), text, span)

    def _last(self) -> str:
        """The type of the last token."""
        return self.out.tokens[-1].type if self.out.tokens else ""

    def _type(self, text: str, opener: str) -> str:
        """The type of the token of a symbol, where `opener` is it or the bracket that it closes."""
        sets = {"{": "OPEN_SET", "}": "CLOSE_SET"} if opener == SET else {}
        return sets.get(text) or self.table.symbols[text]

    def _inside_set(self) -> bool:
        return SET in [bracket for bracket, _ in self.brackets[len(self.brackets) - self._open_inside_braces() :]]

    def _open_inside_braces(self) -> int:
        """How many `(` and `[` are open inside the innermost brace."""
        count = 0
        while count < len(self.brackets) and self.brackets[-1 - count][0] != "{":
            count += 1
        return count

    def _open_until(self, opener: str) -> int:
        """How many brackets are open inside the innermost `opener`; 0 when there is none inside the innermost brace."""
        inside = [bracket for bracket, _ in self.brackets[len(self.brackets) - self._open_inside_braces() :]]
        return inside[::-1].index(opener) if opener in inside else 0

    def _close_until(self, count: int, at: Span) -> None:
        """Reports the innermost `count` open brackets and closes them in the token stream."""
        for index in range(count):
            opener, span = self.brackets.pop()
            self.nested -= 1 + self.depth.pop()
            self.out.noise.append((span.start, len(self.source.text) if opener == "{" else at.start))
            if index == count - 1:
                self._problem("MCT0023", f"`{opener}` is never closed", span, f"add the missing `{OPENERS[opener]}`")
            closer = OPENERS[opener]
            self.out.tokens.append(Token(self._type(closer, opener), closer, Span(self.source, at.start, at.start)))

    def _emit(self, type_: str, text: str, span: Span) -> None:
        if self.fresh_line and type_ in STATEMENTS and self.brackets and self.brackets[-1][0] != "{":
            self._close_until(self._open_inside_braces(), span)
            self.break_pending = True
        tokens = self.out.tokens
        if self.break_pending:
            last = tokens[-1].type if tokens else "OPEN_BRACE"
            joined = last in CONTINUES or type_ == "ARROW" or (type_ == "ELSE" and last == "CLOSE_BRACE")
            if last != "OPEN_BRACE" and (self.hard_break or not joined) and tokens:
                tokens.append(Token("SEP", "\n", Span(self.source, tokens[-1].span.end, span.start)))
            self.break_pending = self.hard_break = False
            if last != "OPEN_BRACE" and not joined:
                self._reset_depth()
        elif type_ == "NAME" and self._last() == "NAME" and tokens[-1].text == "scan":
            tokens[-1] = tokens[-1]._replace(type="SCAN")  # no name stands before another one
        if type_ == "COMMA":
            self._reset_depth()
        elif type_ in OPERATORS:
            self.depth[-1] += 1
            self.nested += 1
        tokens.append(Token(type_, text, span))

    def _reset_depth(self) -> None:
        self.nested -= self.depth[-1]
        self.depth[-1] = 0

    def _limit(self, span: Span) -> None:
        if self.nested > NESTING:
            hint = "give parts a name of their own, or move them into a block"
            problem = Diagnostic("MCT0006", f"more than {NESTING} levels inside one another", span, hint)
        else:
            problem = Diagnostic("MCT0005", f"a file of more than {TOKENS:,} words and symbols", span, "split the file")
        self.out.problems = [problem]
        self.out.tokens = []

    def _problem(
        self, code: str, message: str, span: Span, hint: str | None = None, notes: tuple[Note, ...] = ()
    ) -> None:
        self.out.problems.append(Diagnostic(code, message, span, hint, notes))
