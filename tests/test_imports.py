"""Imports run one way, so that a part can be read, tested and replaced without the ones above it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

# Which rooms of the package a room must never import, and the few files that are its doors to them.
NEVER = {
    "mctc/ir": ["language", "rewrite", "evaluate", "linter", "package", "cli", "plugins", "passes", "targets", "audio"],
    "mctc/language": ["rewrite", "evaluate", "linter", "package", "cli", "passes", "targets", "audio", "decode"],
    "mctc/objectives": [
        "language",
        "rewrite",
        "evaluate",
        "linter",
        "package",
        "cli",
        "plugins",
        "passes",
        "targets",
        "driver",
    ],
    "mctc/tokens": [
        "language",
        "ir",
        "rewrite",
        "evaluate",
        "linter",
        "package",
        "cli",
        "plugins",
        "passes",
        "targets",
    ],
    "mctc/diagnostics": ["language", "rewrite", "evaluate", "linter", "package", "cli", "plugins", "passes", "targets"],
    "mctc/rewrite": ["language", "linter", "cli", "passes", "targets", "audio", "decode"],
    "mctc/streaming": [
        "language",
        "rewrite",
        "linter",
        "package",
        "cli",
        "plugins",
        "passes",
        "targets",
        "audio",
        "driver",
    ],
    "mctc/evaluate": ["language", "linter", "cli", "plugins", "passes", "targets", "audio", "decode"],
    "mctc/package": ["language", "rewrite", "evaluate", "linter", "cli", "plugins", "passes", "targets", "audio"],
    "mctc/audio": [
        "language",
        "ir",
        "rewrite",
        "evaluate",
        "linter",
        "package",
        "cli",
        "plugins",
        "passes",
        "targets",
    ],
    "mctc/decode": [
        "language",
        "ir",
        "rewrite",
        "evaluate",
        "linter",
        "package",
        "cli",
        "plugins",
        "passes",
        "targets",
    ],
    "mctc/driver": ["cli", "passes", "targets"],
    "mctc/linter": [
        "language",
        "rewrite",
        "cli",
        "passes",
        "targets",
        "audio",
        "decode",
        "driver",
        "streaming",
        "runtime",
    ],
    "mctc/linter/mps": ["ir", "evaluate", "package", "hardware"],
    "mctc/hardware": [
        "ir",
        "language",
        "rewrite",
        "evaluate",
        "package",
        "linter",
        "cli",
        "plugins",
        "passes",
        "targets",
    ],
    "mctc": ["passes", "targets"],
    "mctc/emit": ["language", "linter", "cli", "passes", "targets", "audio", "decode"],
    "passes": ["targets", "cli", "plugins"],
    "targets": ["cli"],
}

SCRIPTS = ("mctc/linter/coreml/export_plan.py",)
"""Run by themselves on a Mac, where mctc need not be installed."""


def imports(file: Path, package: str) -> Iterator[tuple[int, str]]:
    """Line and absolute name of everything that `file` imports, inside functions too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{stem}.{alias.name}") for alias in node.names)


def modules(root: Path, room: str) -> Iterator[tuple[Path, str]]:
    """Files of a room and the name of the package each is in."""
    for file in sorted((root / room).rglob("*.py")):
        folder = file.parent.relative_to(root).as_posix().replace("/", ".")
        yield file, folder if folder.startswith("mctc") else f"mctc.{folder}"


@pytest.mark.parametrize("room", NEVER)
def test_a_room_imports_only_what_is_below_it(root: Path, room: str) -> None:
    forbidden = tuple(f"mctc.{name}" for name in NEVER[room])
    found = [
        f"{file.relative_to(root)}:{line} imports {name}"
        for file, package in modules(root, room)
        for line, name in imports(file, package)
        if name in forbidden or name.startswith(tuple(f"{prefix}." for prefix in forbidden))
    ]
    assert found == []


def test_the_check_itself_sees_relative_and_nested_imports(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("def f():\n    from ..passes import fold\n    import mctc.targets.ane\n")
    assert list(imports(file, "mctc.ir")) == [(2, "mctc.passes.fold"), (3, "mctc.targets.ane")]


# Scripts of their own, which `mctc lint --exporter` prints and `mctc probe write` writes.
ON_A_MAC = ("mctc/linter/coreml/export_plan.py", "mctc/probe/run_probe.py")


def test_only_targets_and_tests_of_torch_import_torch_or_coremltools(root: Path) -> None:
    found = [
        f"{file.relative_to(root)}:{line} imports {name}"
        for room in ("mctc", "passes")
        for file, package in modules(root, room)
        for line, name in imports(file, package)
        if name.split(".")[0] in ("torch", "coremltools", "onnx") and str(file.relative_to(root)) not in ON_A_MAC
    ]
    assert found == []
