"""What stands in a build's folder: what was built, what was changed since, and what no build wrote."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from filecmp import cmp
from pathlib import Path, PurePosixPath

from mctc.diagnostics.errors import MctcError
from mctc.driver.manifest import NAME, paths_below, seal, sha256
from mctc.driver.options import BuildError
from mctc.driver.reading import AGAIN, read_json

SHOWN = 12  # files in a message


def built_files(folder: Path) -> dict[str, str]:
    """The hash of every file that a build wrote into a folder, its manifest among them ("" if that was changed).

    Empty where there is no manifest. Raises BuildError for a damaged one, and OSError.
    """
    path = folder / NAME
    if not os.path.lexists(path):
        return {}
    try:
        content = read_json(path)
        content["mctc"]  # what other programs call manifest.json has none
        files = {str(name): str(hash_) for name, hash_ in content["files"].items()}
        intact = content.get("digest") in (None, seal(content))
    except (BuildError, KeyError, TypeError, AttributeError) as error:
        raise BuildError(
            f"{path} is damaged or another program's, so what was built can't be told from what was not",
            hint="choose another place with -o, or pass --force to replace the folder and all that is in it",
        ) from error
    return {**files, NAME: sha256(path) if intact else ""}


def differing(folder: Path, built: Mapping[str, str] | None = None) -> list[str]:
    """The files of a build that are not as they were built, those that are gone among them. built: what
    `built_files` gives, where that is known."""
    built = built_files(folder) if built is None else built
    return [name for name, hash_ in built.items() if not _is(folder / name, hash_)]


def changed(folder: Path, built: Mapping[str, str] | None = None) -> list[str]:
    """The files of a build that hold something else than was built. Raises BuildError for a damaged manifest."""
    return [name for name in differing(folder, built) if os.path.lexists(folder / name)]


def added(folder: Path, built: Collection[str]) -> list[str]:
    """Files, links and empty folders inside a folder that are none of those that a build wrote."""
    return sorted(name for name in paths_below(folder) if name not in built)


def listing(names: Collection[str]) -> str:
    """The first of them, and how many more there are."""
    shown = ", ".join(sorted(names)[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"


def check_unchanged(folder: Path, built: Mapping[str, str] | None = None) -> None:
    """Raises BuildError when a file of the build in `folder` was changed since, or its manifest is damaged."""
    if names := changed(folder, built):
        raise BuildError(
            f"changed since {folder} was built: {listing(names)}",
            hint="keep the change elsewhere, choose another place with -o, or pass --force to replace it",
        )


def carry(old: Path, new: Path, built: Collection[str], *, force: bool = False) -> None:
    """Brings what no build wrote from a folder to the one that takes its place, as hard links where that can be done.

    built: the files of the old one that a build wrote. force: a file of the new build stays in place of one of them.
    Raises BuildError otherwise, and brings nothing.
    """
    names = added(old, built)
    taken = [name for name in names if _stands(old, new, name)]
    if taken and not force:
        raise BuildError(
            f"in {old} stands what mctc did not write, and the build writes files of these names: {listing(taken)}",
            hint="move it, choose another place with -o, or pass --force to replace it",
        )
    for name in (name for name in names if name not in taken and not os.path.lexists(new / name)):
        source, place = old / name, new / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir() and not source.is_symlink():
            place.mkdir()
        else:
            _link(source, place)


@contextmanager
def blamed(folder: Path) -> Iterator[None]:
    """What fails on a build that was damaged is an error of that build, and none of mctc's.

    Raises BuildError with the names of the files in place of any exception that is no MctcError, where files are not
    as they were built.
    """
    try:
        yield
    except (MctcError, OSError, MemoryError):
        raise
    except (Exception, SystemExit) as error:  # SystemExit: of a module under training/ that was edited
        names = differing(folder)
        if not names:
            raise
        cause = f"{type(error).__name__}: {error}"
        raise BuildError(f"{folder} is damaged ({cause}): not as built: {listing(names)}", hint=AGAIN) from error


def _is(path: Path, hash_: str) -> bool:
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISREG(mode) and sha256(path) == hash_


def _stands(old: Path, new: Path, name: str) -> bool:
    """Whether the new folder has something else at the place of an entry of the old one, or a file above it."""
    if any((new / above).is_file() for above in PurePosixPath(name).parents if above.name):
        return True
    source, place = old / name, new / name
    if not os.path.lexists(place) or (source.is_dir() and place.is_dir()):
        return False
    return not (source.is_file() and place.is_file() and cmp(source, place, shallow=False))


def _link(source: Path, place: Path) -> None:
    """A hard link; a copy where the file system has none, or does not give it to this user."""
    try:
        os.link(source, place, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
            raise
        shutil.copy2(source, place, follow_symlinks=False)
