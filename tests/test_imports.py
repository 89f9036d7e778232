"""Imports run one way, so that a part can be read, tested and replaced without the ones above it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import networkx as nx
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


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def imports(file: Path, package: str, *, types: bool = True) -> Iterator[tuple[int, str]]:
    """Line and absolute name of everything that `file` imports, inside functions too; with `types`, also what only a
    type checker imports."""
    for node in walked(parsed(file), types):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{stem}.{alias.name}") for alias in node.names)


def walked(tree: ast.AST, types: bool) -> Iterator[ast.AST]:
    """All nodes; without `types` none under `if TYPE_CHECKING:` but those of its `else`."""
    yield tree
    skipped = tree.body if not types and isinstance(tree, ast.If) and of_type_checkers(tree) else []
    for child in ast.iter_child_nodes(tree):
        if child not in skipped:
            yield from walked(child, types)


def of_type_checkers(node: ast.If) -> bool:
    return ast.unparse(node.test) == "TYPE_CHECKING"


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


def graph(root: Path, *, types: bool) -> nx.DiGraph:
    """Every file of the package and what it imports, inside functions too; with `types`, also for annotations alone."""
    known = {}
    for room in ("mctc", "passes", "targets"):
        for file, package in modules(root, room):
            known[package if file.name == "__init__.py" else f"{package}.{file.stem}"] = file, package
    found = nx.DiGraph()
    for name, (file, package) in known.items():
        found.add_node(name)
        for _, imported in imports(file, package, types=types):
            target = imported if imported in known else imported.rpartition(".")[0]
            if target in known and target != name:
                found.add_edge(name, target)
    return found


def room_of(name: str) -> str:
    """mctc.ir.op is of mctc.ir; each of the two linters is a room of its own."""
    parts = name.split(".")
    return ".".join(parts[: 3 if parts[1:2] == ["linter"] else 2])


@pytest.fixture(scope="module")
def files(root: Path) -> nx.DiGraph:
    return graph(root, types=False)


def test_no_file_imports_itself_by_way_of_others(files: nx.DiGraph) -> None:
    assert [sorted(circle) for circle in nx.strongly_connected_components(files) if len(circle) > 1] == []


def test_no_room_imports_itself_by_way_of_others(root: Path) -> None:
    ends = ((room_of(one), room_of(other)) for one, other in graph(root, types=True).edges)
    rooms = nx.DiGraph((one, other) for one, other in ends if one != other)
    assert [sorted(circle) for circle in nx.strongly_connected_components(rooms) if len(circle) > 1] == []


WALLS = {
    "linter": (
        ("mctc.linter",),
        {"mctc.linter", "mctc.package", "mctc.hardware", "mctc.diagnostics", "mctc.evaluate", "mctc.plugins",
         "mctc.plugin_form", "mctc.entry_points", "mctc.half", "mctc.half_bits", "mctc.atomic", "mctc.records",
         "mctc.scratch", "mctc.version"},
    ),
    "compiler": (
        ("mctc.language", "mctc.ir", "mctc.rewrite", "mctc.streaming", "mctc.numerics", "mctc.objectives"),
        {"mctc.language", "mctc.ir", "mctc.rewrite", "mctc.streaming", "mctc.numerics", "mctc.objectives",
         "mctc.diagnostics", "mctc.evaluate", "mctc.weights", "mctc.quantize", "mctc.checkpoint", "mctc.coded",
         "mctc.initializers", "mctc.wrappers", "mctc.plugins", "mctc.plugin_form", "mctc.entry_points",
         "mctc.fingerprint", "mctc.half", "mctc.half_bits", "mctc.late_shapes", "mctc.lazy_names", "mctc.memory",
         "mctc.padded", "mctc.recipe_values", "mctc.records", "mctc.row_recipes", "mctc.spool", "mctc.version"},
    ),
    "runtime of torch": (("mctc.targets.torch.runtime",), {"mctc.targets"}),
    "evaluator of packages": (
        ("mctc.evaluate.coreml", "mctc.evaluate.engine"),
        {"mctc.evaluate", "mctc.package", "mctc.diagnostics", "mctc.half", "mctc.half_bits", "mctc.records"},
    ),
}  # fmt: skip
"""What could be a distribution of its own: its rooms, and the rooms that it may reach by any way."""


@pytest.mark.parametrize("name", WALLS)
def test_what_could_stand_alone_reaches_no_other_room(name: str, files: nx.DiGraph) -> None:
    starts, allowed = WALLS[name]
    inside = [file for file in files if file.startswith(starts)]
    reached = {file for start in inside for file in nx.descendants(files, start)} | set(inside)
    assert inside
    assert {file for file in reached if ".".join(file.split(".")[:2]) not in allowed} == set()


def test_the_runtime_of_torch_reaches_nothing_but_itself(files: nx.DiGraph) -> None:
    runtime = {file for file in files if file.startswith("mctc.targets.torch.runtime")}
    assert {end for start in runtime for end in nx.descendants(files, start)} <= runtime


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
        if name.split(".")[0] in ("torch", "coremltools", "onnx")
        and str(file.relative_to(root)) not in (*ON_A_MAC, "mctc/importing/onnx_file.py")  # reads such files, on demand
    ]
    assert found == []
