"""A grammar's LALR tables, and the machine that runs them.

lark makes the tables of grammar.lark; they are kept as JSON in the user's cache folder, in a file named by the digest
of all that they depend on, so that only the first process of a version imports lark at all. Where no file can be
written, or the user has no home, each process makes them.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple
from zlib import adler32, crc32

from mctc.language.tokens import Token
from mctc.version import __version__

END = "$END"
LINUX = sys.platform == "linux"
GRAMMAR = Path(__file__).with_name("grammar.lark")
Children = list[Any]


class Rule(NamedTuple):
    """What is done when `length` symbols have become one of `origin`.

    builder: the name of what makes a node of the children; None where they are inlined into those of the rule above.
    It may be missing where every rule of `origin` is `single`.
    inlined: positions of children that are such lists. single: whether one child alone stands for itself.
    """

    origin: str
    builder: str | None
    length: int
    inlined: list[int]
    single: bool


class Tables(NamedTuple):
    """terminals: whether each is a regular expression, and its text. states: for each state and symbol the next state,
    or -1 - n where rule n is applied."""

    terminals: dict[str, tuple[bool, str]]
    rules: list[Rule]
    states: list[dict[str, int]]
    start: int
    end: int


class UnexpectedTokenError(Exception):
    """A token that can't stand where it does; `expected` names those that can."""

    def __init__(self, expected: set[str]) -> None:
        super().__init__(sorted(expected))
        self.expected = expected


class Machine:
    """Takes tokens one by one. Its stacks may be copied and put back."""

    def __init__(self, tables: Tables, builders: object) -> None:
        self.tables = tables
        self.states: list[int] = [tables.start]
        self.values: list[Any] = []
        self._build: list[Callable[[Children], Any] | None] = [
            None if rule.builder is None else getattr(builders, rule.builder, None) for rule in tables.rules
        ]
        self._renamed = {  # by the entry of the table: rules that call a symbol another, most of those of an expression
            -1 - index: rule.origin
            for index, rule in enumerate(tables.rules)
            if rule.single and rule.length == 1 and not rule.inlined
        }

    def accepts(self, type_: str) -> bool:
        return type_ in self.tables.states[self.states[-1]]

    def feed(self, token: Token) -> None:
        """Takes a token. Raises UnexpectedTokenError, the stacks as they were but for rules that it completed."""
        states, table, renamed = self.states, self.tables.states, self._renamed
        while (following := table[states[-1]].get(token.type)) is None or following < 0:
            origin = None if following is None else renamed.get(following)
            if origin is not None:
                states[-1] = table[states[-2]][origin]
            else:
                self._apply(-1 - self._following(token.type))
        states.append(following)
        self.values.append(token)

    def finish(self) -> Any:
        """What the whole text is. Raises UnexpectedTokenError where it can't end here."""
        while self.states[-1] != self.tables.end:
            self._apply(-1 - self._following(END))
        return self.values[-1]

    def _following(self, type_: str) -> int:
        known = self.tables.states[self.states[-1]]
        if type_ not in known:
            raise UnexpectedTokenError({symbol for symbol in known if symbol.isupper()})
        return known[type_]

    def _apply(self, index: int) -> None:
        rule, build = self.tables.rules[index], self._build[index]
        children: Children = []
        if rule.length:
            children = self.values[-rule.length :]
            del self.values[-rule.length :], self.states[-rule.length :]
        for place in reversed(rule.inlined):
            children[place : place + 1] = children[place]
        if rule.single and len(children) == 1:
            self.values.append(children[0])
        else:
            self.values.append(children if build is None else build(children))
        self.states.append(self.tables.states[self.states[-1]][rule.origin])


@lru_cache(maxsize=1)
def tables() -> Tables:
    """The tables of grammar.lark."""
    grammar = GRAMMAR.read_text(encoding="utf-8")
    known = json.dumps([grammar, _lark(), sys.version, __version__])
    file = _file(_digest(known.encode()).decode())
    if file is None:
        return from_lark(grammar)
    if (found := _read(file)) is None:
        _write(found := from_lark(grammar), file)
    return found


def _lark() -> str:
    """What tells a version of lark from another, found without the machinery of `importlib.metadata`: the text of its
    package, which holds the version. '' where there is no lark."""
    found = find_spec("lark")
    return "" if found is None or found.origin is None else Path(found.origin).read_text(encoding="utf-8")


def _file(digest: str) -> Path | None:
    """None for a user without a home."""
    try:
        return _caches() / f"grammar-{digest}.json"
    except RuntimeError:
        return None


def _caches() -> Path:
    """The user's cache folder of mctc. Linux's is found without platformdirs, whose import takes as long as parsing a
    spec. Raises RuntimeError for a user without a home."""
    if LINUX:
        told = os.environ.get("XDG_CACHE_HOME", "").strip()
        return (Path(told) if told.startswith("/") else Path.home() / ".cache") / "mctc"
    import platformdirs

    return Path(platformdirs.user_cache_dir("mctc"))


def _read(file: Path) -> Tables | None:
    """What the file holds; None where there is none, or not all that was written.

    Its first line is the digest of the rest: tables with one other number would parse, into something else.
    """
    try:
        if not file.is_file():  # the open of a pipe would wait
            return None
        told, _, text = file.read_bytes().partition(b"\n")
    except OSError:
        return None
    if told != _digest(text):
        return None
    terminals, rules, states, start, end = json.loads(text)
    return Tables(terminals, [Rule(*rule) for rule in rules], states, start, end)


def _write(made: Tables, file: Path) -> None:
    text = json.dumps(made).encode()
    partial = file.with_suffix(f".{os.getpid()}")
    with suppress(OSError):  # a folder that can't be written is no one's concern
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            partial.write_bytes(_digest(text) + b"\n" + text)
            partial.replace(file)
        except OSError:
            partial.unlink(missing_ok=True)


def _digest(text: bytes) -> bytes:
    """Against damage, not against a forger: `hashlib` loads OpenSSL, which takes a hundredth of a check."""
    return b"%08x%08x" % (crc32(text), adler32(text))


def from_lark(grammar: str) -> Tables:
    """Tables of a grammar in lark's notation, all of whose tokens are kept."""
    from lark import Lark
    from lark.parsers.lalr_analysis import Shift

    lark = Lark(grammar, parser="lalr", lexer="basic", keep_all_tokens=True, maybe_placeholders=False)
    conf: Any = lark.parse_interactive().parser_state.parse_conf
    number = {rule: index for index, rule in enumerate(lark.rules)}
    rules = [
        Rule(
            str(rule.origin.name),
            None if rule.origin.name.startswith("_") else str(rule.alias or rule.origin.name),
            len(rule.expansion),
            [i for i, symbol in enumerate(rule.expansion) if not symbol.is_term and symbol.name.startswith("_")],
            bool(rule.options.expand1) and rule.alias is None,
        )
        for rule in lark.rules
    ]
    numbered: Mapping[int, Any] = {state: index for index, state in enumerate(conf.states)}
    states = [
        {str(symbol): numbered[to] if action is Shift else -1 - number[to] for symbol, (action, to) in row.items()}
        for row in conf.states.values()
    ]
    terminals = {str(t.name): (type(t.pattern).__name__ == "PatternRE", str(t.pattern.value)) for t in lark.terminals}
    return Tables(terminals, rules, states, numbered[conf.start_state], numbered[conf.end_state])
