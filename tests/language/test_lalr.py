"""Tables of the grammar: what the machine makes of a text is what lark makes of it, and a kept table is never stale."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs
import pytest
from lark import Lark, Token, Tree

from mctc.diagnostics.source import SourceFile, Span
from mctc.language import lalr
from mctc.language.tokens import Token as OurToken

GRAMMAR = """
start: [item (COMMA item)* [COMMA]]
?item: pair | word
pair: NAME EQUAL _value (EQUAL _value)*
?word: NAME | OPEN start CLOSE -> nested
_value: NAME | NUMBER
COMMA: ","
EQUAL: "="
OPEN: "("
CLOSE: ")"
NUMBER: /[0-9]+/
NAME: /[a-z]+/
"""


class Builder:
    """A node is its rule and its children; rules that are inlined have none."""

    def __getattr__(self, rule: str) -> Any:
        if rule.startswith("_"):
            raise AttributeError(rule)
        return lambda children: (rule, tuple(children))


TEXTS = ["", "a", "a,", "a,b,c", "a=1", "a=b=2=c,d", "(a)", "(a,(b=1,),c),d", "()", "((),)"]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_becomes_what_lark_makes_of_it(text: str) -> None:
    lark = Lark(GRAMMAR, parser="lalr", lexer="basic", keep_all_tokens=True, maybe_placeholders=False)
    assert _parsed(text) == _node(lark.parse(text))


def _node(tree: Any) -> Any:
    return (str(tree.data), tuple(map(_node, tree.children))) if isinstance(tree, Tree) else tree


def _parsed(text: str) -> Any:
    machine = lalr.Machine(lalr.from_lark(GRAMMAR), Builder())
    for token in Lark(GRAMMAR, parser="lalr", lexer="basic").lex(text):
        machine.feed(token)  # type: ignore[arg-type]
    return machine.finish()


@pytest.mark.parametrize(
    ("types", "expected"),
    [(["NAME", "NAME"], {"COMMA", "EQUAL", "CLOSE", lalr.END}), (["NAME", "EQUAL", "COMMA"], {"NAME", "NUMBER"})],
)
def test_what_can_stand_there_is_told(types: list[str], expected: set[str]) -> None:
    machine = lalr.Machine(lalr.from_lark(GRAMMAR), Builder())
    *before, last = (Token(type_, type_) for type_ in types)
    for token in before:
        machine.feed(token)  # type: ignore[arg-type]
    with pytest.raises(lalr.UnexpectedTokenError) as found:
        machine.feed(last)  # type: ignore[arg-type]
    assert found.value.expected == expected


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(lalr, "_caches", lambda: tmp_path / "mctc")
    return tmp_path / "mctc"


@pytest.fixture
def once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, where what lark would make anew is there already."""
    known = lalr.tables()
    monkeypatch.setattr(lalr, "from_lark", lambda grammar: known)
    return folder


def test_tables_are_kept_and_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = lalr.tables.__wrapped__()
    (kept,) = folder.iterdir()
    monkeypatch.setattr(lalr, "from_lark", lambda grammar: pytest.fail("made again"))
    again = lalr.tables.__wrapped__()
    assert (again.rules, again.states, again.start, again.end) == (first.rules, first.states, first.start, first.end)
    assert kept.suffix == ".json"


@pytest.mark.parametrize("change", ["grammar", "lark", "version"])
def test_tables_of_another_grammar_or_version_are_not_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, change: str
) -> None:
    lalr.tables.__wrapped__()
    if change == "grammar":
        another = tmp_path / "grammar.lark"
        another.write_text(lalr.GRAMMAR.read_text(encoding="utf-8") + "\n// another\n", encoding="utf-8")
        monkeypatch.setattr(lalr, "GRAMMAR", another)
    elif change == "lark":
        monkeypatch.setattr(lalr, "_lark", lambda: "another")
    else:
        monkeypatch.setattr(lalr, "__version__", "0")
    lalr.tables.__wrapped__()
    assert len(list(folder.iterdir())) == 2


DAMAGES = {
    "empty": lambda text: b"",
    "truncated": lambda text: text[: len(text) // 2],
    "another form": lambda text: b"[{}, [], [{}], 0, 0]",
    "no text": lambda text: b"\x00\xff",
    "nested": lambda text: b"[" * 100_000,
    "another number": lambda text: text.replace(b": 1", b": 2", 1),
    "without the digest": lambda text: text.partition(b"\n")[2],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_made_anew(once: Path, damage: Callable[[bytes], bytes]) -> None:
    folder, first = once, lalr.tables.__wrapped__()
    (kept,) = folder.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    assert kept.read_bytes() != whole
    assert lalr.tables.__wrapped__().rules == first.rules
    assert lalr._read(kept) is not None


@pytest.mark.parametrize("other", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_no_file_is_left_and_nothing_beside_it(once: Path, other: Callable[[Path], None]) -> None:
    lalr.tables.__wrapped__()
    folder, (kept,) = once, once.iterdir()
    kept.unlink()
    other(kept)
    assert lalr.tables.__wrapped__().states
    assert list(folder.iterdir()) == [kept]


@pytest.mark.usefixtures("once")
def test_a_user_without_a_home_has_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(lalr, "_caches", homeless)
    assert lalr.tables.__wrapped__().states


def test_tables_are_made_where_nothing_can_be_written(once: Path) -> None:
    once.write_text("no folder", encoding="utf-8")
    assert len(lalr.tables.__wrapped__().states) == len(lalr.tables().states)


def test_stacks_that_are_put_back_are_those_of_before() -> None:
    machine = lalr.Machine(lalr.from_lark(GRAMMAR), Builder())
    source = SourceFile("a", "a,b")
    token = {text: OurToken(type_, text, Span(source, 0, 1)) for type_, text in (("NAME", "a"), ("COMMA", ","))}
    machine.feed(token["a"])
    machine.feed(token[","])
    kept = list(machine.states), list(machine.values)
    machine.feed(token["a"])
    machine.feed(token[","])
    machine.states[:], machine.values[:] = kept
    assert machine.accepts("NAME")
    assert machine.finish() == ("start", (token["a"], token[","]))


@pytest.mark.skipif(not lalr.LINUX, reason="elsewhere platformdirs is asked")
@pytest.mark.parametrize("told", [None, "", "relative", "/somewhere/else"])
def test_the_cache_folder_is_the_one_that_platformdirs_says(monkeypatch: pytest.MonkeyPatch, told: str | None) -> None:
    if told is None:
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", told)
    assert str(lalr._caches()) == platformdirs.user_cache_dir("mctc")
