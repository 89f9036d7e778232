"""Which code is a test: what happens in it happens to small tensors, once, and mostly on the CPU."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import PurePath

FOLDERS = {"test", "tests", "unittests", "testing"}


def is_test_file(path: PurePath, folder: PurePath | None = None) -> bool:
    """Whether a file is one of tests, by its name or by the folders that it lies in, from `folder` on.

    Without `folder` the one folder around it counts: where the rest of a path leads to says nothing.
    """
    stem = path.stem
    inside = path.relative_to(folder).parent.parts if folder is not None else path.parent.parts[-1:]
    named = stem.startswith("test_") or stem.endswith("_test") or stem in ("conftest", "test", "tests")
    return named or any(part in FOLDERS for part in inside)


def test_lines(tree: ast.Module) -> Iterator[tuple[int, int]]:
    """The first and the last line of the functions and classes of a file that are tests."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            named = node.name.lstrip("_").startswith("test_")
        elif isinstance(node, ast.ClassDef):
            bases = (getattr(base, "attr", getattr(base, "id", "")) for base in node.bases)
            named = any(base.endswith("TestCase") for base in bases)
        else:
            continue
        if named:
            yield node.lineno, node.end_lineno or node.lineno
