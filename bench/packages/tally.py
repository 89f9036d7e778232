"""Lints, runs and compares every model of a folder, each in processes of its own, and counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.process import Command, ProcessError, measure
from bench.setting import Setting

ROUNDING = 1e-4
"""That of bench.packages.by_torch, which needs torch."""
CODE = "import sys; sys.path.append(sys.argv.pop(1)); from bench.packages.{} import main; main(sys.argv[1:])"
SUFFIXES = (".mlpackage", ".mlmodelc", ".mlmodel")
Entry = dict[str, Any]


@dataclass(frozen=True)
class Tried:
    """One model. wall, cpu: seconds of `mctc lint`; peak: its bytes; reading, programs, compared: what
    bench.packages.execute and bench.packages.by_torch printed; filled: whether noise stands for absent weights."""

    path: Path
    cpu: float
    wall: float
    peak: int
    reading: Entry
    programs: tuple[Entry, ...]
    compared: tuple[Entry, ...]
    filled: bool

    @property
    def executed(self) -> list[Entry]:
        return [entry for entry in self.programs if "seconds" in entry]

    @property
    def failed(self) -> list[Entry]:
        return [entry for entry in self.programs if "failed" in entry]

    @property
    def agreeing(self) -> set[tuple[str, str]]:
        """Member and function of every program whose outputs were compared, and none of them differed."""
        differing = {_key(entry) for entry in self.differing}
        return {_key(entry) for entry in self.compared if entry.get("differences")} - differing

    @property
    def differing(self) -> list[Entry]:
        return [entry for entry in self.compared if not within(entry)]


def _key(entry: Entry) -> tuple[str, str]:
    return entry["member"], entry["function"]


def within(entry: Entry) -> bool:
    """Whether every output differs by rounding alone: by ROUNDING, or by twice what a unit in the last place of every
    value on the way makes of it."""
    own = entry.get("rounding", {})
    return all(gap <= max(ROUNDING, 2 * own.get(name, 0.0)) for name, gap in entry.get("differences", {}).items())


def worst(entry: Entry) -> float:
    return max(entry.get("differences", {}).values(), default=0.0)


def models(folder: Path) -> Iterator[Path]:
    """Every model below a folder, outermost ones only, in order."""
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES:
            yield path
        elif path.is_dir() and not path.is_symlink():
            yield from models(path)


def attempt(setting: Setting, path: Path, work: Path) -> Tried:
    """Lint, the evaluator, and an independent computation of what it computed."""
    lint = measure(
        [setting.mctc, "lint", path, "--format", "json", "--fail-on", "never", "--isolated", "-o", work / "lint.json"],
        work, setting.environment, (0, 2),
    )  # fmt: skip
    reading, *programs = _lines(setting, "execute", path, work)
    filled = any("without" in entry for entry in programs)
    if filled:
        copy = work / path.name
        _lines(setting, "filled", path, copy)
        _, *programs = _lines(setting, "execute", copy, work)
        path_run = copy
    else:
        path_run = path
    executed = any("seconds" in entry for entry in programs)
    compared = _compared(setting, path_run, work) if executed else []
    return Tried(path, lint.cpu, lint.wall, lint.peak, reading, tuple(programs), tuple(compared), filled)


def _compared(setting: Setting, path: Path, work: Path) -> list[Entry]:
    """Entries of the comparison; a compiled model has no second reader."""
    if (path / "model.mil").exists():
        return []
    try:
        return _lines(setting, "by_torch", path, work)
    except ProcessError as error:
        return [{"member": "", "function": "", "left": " ".join(str(error).split())[-200:]}]


def _lines(setting: Setting, module: str, *arguments: Path) -> list[Entry]:
    command: Command = [setting.python, "-c", CODE.format(module), setting.root, *arguments]
    printed = measure(command, setting.work, setting.environment).output
    return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
