"""Damaged specs give diagnostics, never an exception; the parser works without its cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mctc.diagnostics.render import as_json, render_all
from mctc.language import check_file

ROOT = Path(__file__).parents[2]
SPECS = {path.name: path.read_text() for path in sorted((ROOT / "spec").rglob("*.mct"))}
PIECES = [
    *"(){}[]=+-*/%@:;,.<>#\"'\\ \n0aTx",
    "repeat ",
    "if ",
    " as ",
    "->",
    "...",
    "**",
    "none",
    "1e99",
    "9" * 50,
    "\t",
]


@st.composite
def damaged(draw: st.DrawFn) -> str:
    text = SPECS[draw(st.sampled_from(sorted(SPECS)))]
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.sampled_from(PIECES)) + text[at + draw(st.integers(0, 8)) :]
    return text


@settings(max_examples=25, deadline=None)
@given(damaged())
def test_a_damaged_spec_never_raises(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    assert_told(tmp_path_factory, text)


@pytest.mark.slow
@settings(max_examples=250, deadline=None)
@given(damaged())
def test_many_damaged_specs_never_raise(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    assert_told(tmp_path_factory, text)


def assert_told(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """What is wrong with a text is told, at places in it."""
    path = tmp_path_factory.getbasetemp() / "damaged.mct"
    path.write_text(text)
    found = check_file(path)
    assert len(json.loads(as_json(found))) == len(found)
    assert not found or render_all(found)
    for diagnostic in found:
        if diagnostic.span is not None:
            assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(diagnostic.span.source.text)


@pytest.mark.parametrize("state", ["absent", "unwritable", "damaged"])
def test_the_cache_of_the_parser_may_be(state: str, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    program = "from mctc.language import check_file; import sys; print(check_file(sys.argv[1]))"
    env = {**os.environ, "XDG_CACHE_HOME": str(cache), "HOME": str(tmp_path)}
    command = [sys.executable, "-c", program, str(ROOT / "spec" / "lib" / "mamba.mct")]

    def run() -> None:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, cwd=tmp_path)
        assert (done.stdout, done.stderr) == ("[]\n", "")

    if state == "unwritable":
        cache.write_text("a file where a folder should be")
    run()
    if state == "damaged":
        files = [path for path in tmp_path.rglob("grammar-*") if path.is_file()]
        assert files
        for path in files:
            path.write_bytes(path.read_bytes()[:200])
    run()
