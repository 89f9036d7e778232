"""The files beside an emitted module: those of runtime/ that it imports, and what they import in turn."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

RUNTIME = Path(__file__).with_name("runtime")
RELATIVE = re.compile(r"from \.(\w*) import ([\w, ]*)")  # found by what it begins with, so as a line's indent is not
ALWAYS = ("device", "engine_arithmetic", "losses")  # what a training script wants besides the model


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
    text = path.read_text(encoding="utf-8")
    found = [each.groups() for each in RELATIVE.finditer(text) if not _line_before(text, each.start()).strip()]
    return [name for module, names in found for name in ([module] if module else re.findall(r"\w+", names))]


def _line_before(text: str, place: int) -> str:
    return text[text.rfind("\n", 0, place) + 1 : place]
