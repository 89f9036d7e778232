"""The files beside an emitted module: those of runtime/ that it imports, and what they import in turn."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

RUNTIME = Path(__file__).with_name("runtime")
ALWAYS = ("device", "losses")  # what a training script wants besides the model


def support_files(siblings: Iterable[str]) -> list[Path]:
    """The files of runtime/ that modules of these names need, sources of kernels included."""
    wanted, found = [*siblings, *ALWAYS], dict[str, Path]()
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        found[name] = RUNTIME / f"{name}.py"
        wanted += _siblings(found[name])
    sources = [path for path in RUNTIME.iterdir() if path.suffix in KERNELS and _owner(path, found) is not None]
    return sorted([*found.values(), *sources])


KERNELS = (".metal", ".cpp", ".h")


def _owner(source: Path, modules: Iterable[str]) -> str | None:
    """The module that reads a kernel's source: the one of its name, or whose name it begins with."""
    return next((name for name in modules if source.stem == name or source.stem.startswith(f"{name}_")), None)


def _siblings(path: Path) -> list[str]:
    """The modules beside a file that it imports, at its top or later."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names += [node.module] if node.module else [alias.name for alias in node.names]
    return names
