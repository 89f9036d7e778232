"""Formatting keeps the tree and the comments, and changes nothing the second time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mctc.diagnostics.diagnostic import DiagnosticError
from mctc.diagnostics.source import SourceFile
from mctc.language import format_source, parse

NAMES = st.sampled_from(["x", "width", "T", "a_very_long_name_that_fills_a_line", "B"])
ATOMS = st.one_of(
    NAMES, st.sampled_from(["1", "2.5e-3", "16_000", "320 ms", "true", "none", '"a # b \\" c"', "[]", "op.f(x)"])
)


def _operations(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    infix = st.builds(lambda a, o, b: f"({a}){o}({b})", inner, st.sampled_from(["+", " / ", "**", "@", "=="]), inner)
    calls = st.builds(lambda n, a, b: f"{n}({a},k={b})", NAMES, inner, inner)
    named = st.builds(lambda n, a, b: f"{n}({a}\n,{b},) as n", NAMES, inner, inner)
    lists = st.builds(lambda a, b: f"[{a},{b}, ]", inner, inner)
    rest = st.builds(lambda a, b: f"(-{a} if not {b} else x[{a}])", inner, inner)
    commented = st.builds(lambda n, a, b: f"{n}( # one\n{a}, # two\n# three\n{b} # four\n)", NAMES, inner, inner)
    return st.one_of(infix, calls, named, lists, rest, commented)


EXPRESSIONS = st.recursive(ATOMS, _operations, max_leaves=8)
SIMPLE = st.one_of(
    st.builds(lambda e: f"a,  b={e}", EXPRESSIONS),
    st.builds(lambda e: f"return {e},x", EXPRESSIONS),
    st.builds(lambda e, n: f"param {n}:f32[ {n},T/4] ={e}", EXPRESSIONS, NAMES),
    st.builds(lambda e: f'assert {e},"m"', EXPRESSIONS),
    st.sampled_from(["dim T:time@100Hz", "e.**.{a,b}:int4(per_channel)", "e.*.3: none"]),
)


def _bodies(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    separators = st.sampled_from(["\n", ";", "\n\n\n", " # note\n", "\n# alone\n", "\n\n  # apart\n\n"])
    joined = st.lists(st.tuples(inner, separators), min_size=1, max_size=4)
    many = st.builds(lambda items: "".join(a + b for a, b in items), joined)
    one = st.builds(lambda head, a: f"{head} {{ {a} }}", st.sampled_from(["repeat i<x as b", "train"]), inner)
    block = st.builds(
        lambda head, a: f"{head} {{ # head\n{a}\n# end\n}}",
        st.sampled_from(["repeat f(x)", "if x", "model m(a=1,b)", "block f(x:f32[...,C]<5,k)->(f32[C],y:f32[])"]),
        many,
    )
    choice = st.builds(lambda a, b: f"if x {{\n{a}\n}} else if y {{}} else {{ {b} }}", many, inner)
    return st.one_of(one, block, choice)


STATEMENTS = st.recursive(SIMPLE, _bodies, max_leaves=6)


@settings(max_examples=150, deadline=None)
@given(st.lists(STATEMENTS, max_size=4).map("\n".join))
def test_formatting_keeps_the_tree_and_is_idempotent(text: str) -> None:
    once = format_source(text)
    assert parse(SourceFile("b", once)) == parse(SourceFile("a", text))
    assert format_source(once) == once
    assert sorted(re.findall(r"# \w+", once)) == sorted(re.findall(r"# \w+", text))
    assert not re.search(r"[ \t]\n|\n\n\n", once)


@pytest.mark.parametrize("path", sorted(Path(__file__).parents[2].glob("spec/**/*.mct")), ids=lambda path: path.name)
def test_the_shipped_specs_are_formatted(path: Path) -> None:
    assert format_source(path.read_text()) == path.read_text()


def test_comments_and_single_blank_lines_stay() -> None:
    text = """\
# first


import   "a.mct"   # why
block f(x: f32[...,C], # the input
    n = 3) {   # head
    # alone
    y = x+1 ; z = y*2


    return z
    # end
}
# last"""
    assert (
        format_source(text)
        == """\
# first

import "a.mct"  # why
block f(
    x: f32[..., C],  # the input
    n = 3,
) {  # head
    # alone
    y = x + 1
    z = y * 2

    return z
    # end
}
# last
"""
    )


def test_a_long_line_breaks_at_its_outermost_brackets() -> None:
    projections = "linear(x, width, bias = false) as query, linear(x, width, bias = false) as key"
    call = f"y = attention({projections}, heads = 8, left = 100, right = 20)"
    assert (
        format_source(call)
        == """\
y = attention(
    linear(x, width, bias = false) as query,
    linear(x, width, bias = false) as key,
    heads = 8,
    left = 100,
    right = 20,
)
"""
    )


def test_a_short_body_stays_on_its_line() -> None:
    assert format_source("repeat 3{x=relu( x );y=x}") == "repeat 3 { x = relu(x); y = x }\n"


def test_a_source_with_a_syntax_error_is_refused() -> None:
    with pytest.raises(DiagnosticError):
        format_source("x = = 3")
