"""The folder of a build: replaced whole or not at all, without what is the user's in it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mctc import atomic, scratch
from mctc.diagnostics.errors import MctcError
from mctc.driver.contents import built_files, carry, check_unchanged
from mctc.driver.manifest import NAME
from mctc.driver.options import BuildError


@contextmanager
def replaced(target: Path, *, force: bool = False) -> Iterator[Path]:
    """Yields an empty folder to write into; it is put at `target` when the context ends well, else nothing changes.

    What no build wrote into `target` is in the new folder too. Raises BuildError where a file would be lost: one that
    was changed since it was built, or that no build wrote and the new one has a file in its place; with `force` these
    are replaced, and so is the whole of a folder that no build wrote, or whose manifest is damaged; the current folder,
    the user's own and those above are never. Raises OSError.
    """
    target = Path(os.path.realpath(target))
    _check_kind(target, force=force)

    def keep(old: Path, new: Path) -> None:
        if force and not _is_build(old):
            return
        before, built = old == target, built_files(old)
        if before and not force:
            check_unchanged(old, built)
        carry(old, new, built, force=force or not before)

    try:
        with atomic.replaced(target, keep) as fresh:
            yield fresh
    except MctcError as error:
        error.message = scratch.public(error.message)
        raise


def check_replaceable(target: Path, *, force: bool = False, inputs: Iterable[Path] = ()) -> None:
    """Raises BuildError when something stands at `target` that mctc did not write, or that was changed since.

    inputs: files that are read; a folder that mctc did not write and that holds one is not replaced even by `force`.
    """
    _check_kind(target, force=force)
    if not target.is_dir():
        return
    if not _is_build(target):
        _check_holds(target, {f"{path}, which is read": path for path in inputs})
    if not force:
        check_unchanged(target, built_files(target))


def _is_build(folder: Path) -> bool:
    try:
        return bool(built_files(folder))
    except BuildError:
        return False


def _check_holds(target: Path, places: Mapping[str, Path]) -> None:
    """Raises BuildError when one of the places, said in words, is the folder or lies in it."""
    for what, place in places.items():
        if place.resolve().is_relative_to(target.resolve()):
            raise BuildError(
                f"{target} is, or holds, {what}: a build would replace it", hint="choose another place with -o"
            )


def _check_kind(target: Path, *, force: bool) -> None:
    if not os.path.lexists(target):
        return
    _check_holds(target, {"the current folder": Path.cwd(), "your home folder": Path("~").expanduser()})
    if not target.is_dir():
        raise BuildError(f"{target} is a file; a build writes a folder", hint="choose another place with -o")
    if not force and not (target / NAME).is_file() and any(target.iterdir()):
        raise BuildError(
            f"{target} has no {NAME}: it was not written by mctc and is not replaced",
            hint="choose another place with -o, or pass --force to replace it",
        )
