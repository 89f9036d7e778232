"""examples/speech: what its files import, and what Apple's GPU has to say of them."""

from __future__ import annotations

import ast

from mctc.cli.main import run
from tests.conftest import ROOT

FILES = sorted((ROOT / "examples/speech").glob("*.py"))
RUNTIME = {
    "atomic",
    "audio",
    "coded",
    "decode",
    "diagnostics",
    "score",
    "tokens",
}  # coded: checkpoints that are shipped


COMPILER = {"prune.py"}
"""Loaded where `prune.build` is set: which entries of all layers go together the compiler alone knows."""


def test_the_recipe_imports_what_runs_a_model_and_nothing_of_the_compiler() -> None:
    for path in (each for each in FILES if each.name not in COMPILER):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
            parts = {name.split(".")[1] for name in names if name.startswith("mctc.")}
            assert parts <= RUNTIME, path.name
            assert "mctc" not in names, path.name


def test_nothing_in_it_fails_or_slows_down_on_a_mac() -> None:
    assert run(["lint", "--mps", *map(str, FILES)]) == 0
