"""Which file has a block that a module can't see: an import of an import, or a file of the library."""

from __future__ import annotations

import os
from collections.abc import Iterator

from mctc.diagnostics.diagnostic import DiagnosticError
from mctc.language.library import parts
from mctc.language.modules import Module, library_root
from mctc.language.read import read_source


def import_hint(name: str, module: Module) -> str | None:
    """What to import for the block `name`; None where no file near has it. An import brings its own alone."""
    found = next(_files(name, module), None)
    return None if found is None else f"`{found}` has it: import it"


def _files(name: str, module: Module) -> Iterator[str]:
    root = library_root()
    for near in {id(defined.module): defined.module for defined in module.imported.values()}.values():
        further = near.imported.get(name)
        if further is not None and not further.module.path.is_relative_to(root):
            yield os.path.relpath(further.module.reached, module.reached.parent)
    for path in sorted(root.glob("lib/*.mct")):
        try:
            defined = parts(read_source(path))
        except DiagnosticError:
            continue
        if any(part.name == name for part in defined or ()):
            yield path.relative_to(root).as_posix()
