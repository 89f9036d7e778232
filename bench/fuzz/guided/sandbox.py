"""A sandbox around an input: in it, files outside of a few folders can't be opened or listed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.fuzz.guided.verdict import Finding

_WATCHED = frozenset({"open", "os.listdir", "os.scandir"})
_IMPORT = "<frozen importlib"
"""Where an event comes from when Python looks for a module that is imported at its first use."""


class _Hook:
    """The audit hook, which can't be taken away again: without folders it lets everything pass."""

    def __init__(self) -> None:
        self.folders: tuple[str, ...] = ()
        self.crossed: list[str] = []
        self.installed = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.folders or event not in _WATCHED or not isinstance(arguments[0], (str, bytes, os.PathLike)):
            return
        if sys._getframe(1).f_code.co_filename.startswith(_IMPORT):
            return
        folders, self.folders = self.folders, ()  # following links is no crossing
        try:
            path = os.path.realpath(os.fsdecode(arguments[0]))
        except (OSError, ValueError):  # a name that no file system holds: it can't be opened either
            return
        finally:
            self.folders = folders
        inside = any(path == folder or path.startswith(folder + os.sep) for folder in folders)
        if not inside:
            self.crossed.append(path)
            raise Finding(f"{event} outside of the input: {path}")


_HOOK = _Hook()


@contextmanager
def sandboxed(folders: Sequence[Path]) -> Iterator[None]:
    """Raises Finding when a file outside of `folders` is opened, even where the code inside swallows the exception."""
    if not _HOOK.installed:
        sys.addaudithook(_HOOK)
        _HOOK.installed = True
    _HOOK.folders, _HOOK.crossed = tuple(os.path.realpath(folder) for folder in folders), []
    try:
        yield
    finally:
        _HOOK.folders = ()
    if _HOOK.crossed:
        raise Finding(f"opened outside of the input: {_HOOK.crossed[0]}")
