"""Emitted Python, imported as what executes it needs it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from itertools import count
from pathlib import Path
from types import ModuleType

_numbers = count()


@contextmanager
def imported(folder: Path) -> Iterator[ModuleType]:
    """The package in a folder, under a name of its own; its modules can be imported until the block ends. Raises what
    importing it raises."""
    name = f"mctc_emitted_{next(_numbers)}"
    spec = spec_from_file_location(name, folder / "__init__.py", submodule_search_locations=[str(folder)])
    assert spec is not None
    assert spec.loader is not None
    package = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(package)
        yield package
    finally:
        for each in [each for each in sys.modules if each == name or each.startswith(f"{name}.")]:
            del sys.modules[each]
