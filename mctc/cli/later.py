"""numpy, imported by its first use: a fifth of what `mctc check` costs, which most specs are checked without."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec, module_from_spec
from threading import RLock
from types import ModuleType
from typing import Any

NUMPY = "numpy"


class _Later(ModuleType):
    """A module that stands in `sys.modules` and runs when something of it is asked for.

    `importlib.util.LazyLoader` makes the like, which `import numpy` already runs, from the second on: Python asks every
    imported module for its `__spec__`.
    """

    def __getattribute__(self, name: str) -> Any:
        if name == "__spec__":
            return object.__getattribute__(self, name)
        with _LOCK:  # another thread waits for the whole of it
            if object.__getattribute__(self, "__class__") is _Later and not _RUNNING:
                _RUNNING.append(NUMPY)
                _run(self)
        return ModuleType.__getattribute__(self, name)


_LOCK = RLock()
_RUNNING: list[str] = []
_BEFORE: list[Callable[[], None]] = []


def _run(module: ModuleType) -> None:
    spec = module.__spec__
    assert spec is not None
    assert spec.loader is not None
    while _BEFORE:
        _BEFORE.pop()()
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(NUMPY, None)
        raise
    finally:
        _RUNNING.clear()
    module.__class__ = ModuleType  # nothing is asked any more


def numpy_later(before: Callable[[], None] = lambda: None) -> None:
    """From here on `import numpy` costs nothing until something of it is used; `before` is called before that. Where
    there is no numpy, or it is imported already, nothing changes, and it is called at once."""
    spec = None if NUMPY in sys.modules else find_spec(NUMPY)
    if spec is None or spec.loader is None:
        before()
        return
    _BEFORE.append(before)
    module = module_from_spec(spec)
    module.__class__ = _Later
    sys.modules[NUMPY] = module
