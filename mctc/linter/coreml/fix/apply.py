"""Repairs a package in its place: edited in a copy, proven there, then exchanged for the old one in one step."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from mctc import atomic
from mctc.linter.coreml.fix.body import Body
from mctc.linter.coreml.fix.proof import FixError, prove
from mctc.linter.coreml.fix.repairs import REPAIRS
from mctc.package import read_package
from mctc.package.manifest import find_model
from mctc.package.protobuf import model_class
from mctc.records import dataclass

ROUNDS = 8
"""A repair can make room for another; after this many rounds nothing has ever been left."""


@dataclass(frozen=True)
class Change:
    """What was repaired: the rule, the function, and a line about it."""

    code: str
    function: str
    what: str


@dataclass(frozen=True)
class Fixed:
    """All changes, and how many values were compared in the proof (0 where nothing was changed or `write` was off)."""

    changes: tuple[Change, ...]
    compared: int


def fix_package(path: Path, codes: Collection[str] | None = None, *, write: bool = True) -> Fixed:
    """Repairs what the rules of `codes` (None: all) find. write: False says what would change and leaves it.

    Raises FixError where a package can't be repaired in place or a repair can't be proven, PackageError for one that
    can't be read; the package is then as it was.
    """
    if not path.is_dir() or not (path / "Manifest.json").is_file():
        raise FixError(f"{path}: only a .mlpackage can be repaired", hint="repair the package, then compile it again")
    before = read_package(path)
    model_path = find_model(path).resolve()
    if not model_path.is_relative_to(path.resolve()):
        raise FixError(
            f"{path}: its model is a link to a file outside, which others may use too",
            hint="copy the package with its links followed (cp -RL) and repair the copy",
        )
    model = model_class()()
    model.ParseFromString(model_path.read_bytes())  # read_package has checked what it is
    changes = _repair(model, codes)
    if not changes or not write:
        return Fixed(tuple(changes), 0)
    inner = model_path.relative_to(path.resolve())
    with atomic.replaced(path) as fresh:
        shutil.copytree(path, fresh, symlinks=True, dirs_exist_ok=True)
        (fresh / inner).write_bytes(model.SerializeToString(deterministic=True))
        compared = prove(before, read_package(fresh))
    return Fixed(tuple(changes), compared)


def _repair(model: Any, codes: Collection[str] | None) -> list[Change]:
    changes: list[Change] = []
    for name in sorted(model.mlProgram.functions):
        for _ in range(ROUNDS):
            found = _round(model.mlProgram.functions[name], name, codes)
            changes += found
            if not found:
                break
    return changes


def _round(function: Any, name: str, codes: Collection[str] | None) -> list[Change]:
    changes = []
    for repair in REPAIRS:
        if codes is None or repair.code in codes:
            body = Body(function)
            done = repair.apply(body)
            if done:
                body.flush()
            changes += [Change(repair.code, name, what) for what in done]
    return changes
