"""Everything that is wrong with a file."""

from __future__ import annotations

from pathlib import Path

from mctc.diagnostics.diagnostic import Diagnostic
from mctc.diagnostics.source import SourceFile
from mctc.ir.program import Program
from mctc.language.elaborate import elaborate_model
from mctc.language.failure import FaultError
from mctc.language.modules import Loader
from mctc.language.names import unknown_names, unused_names
from mctc.language.read import Spec
from mctc.language.values import Defines
from mctc.language.variants import choose


def check_file(path: Spec | str, *, model: str | None = None, defines: Defines | None = None) -> list[Diagnostic]:
    """Errors and warnings of a file: its model is elaborated, and the names in its own blocks are looked up."""
    return check_all(path, model=model, defines=defines)[1]


def check_all(
    path: Spec | str,
    *,
    model: str | None = None,
    defines: Defines | None = None,
    loader: Loader | None = None,
) -> tuple[Program | None, list[Diagnostic]]:
    """The program of a file (None with errors, or without a model), and what `check_file` finds.

    `loader`: one for this file alone, that has read files of the library before.
    """
    loader = loader or Loader()
    module = loader.load(Path(path) if isinstance(path, str) else path)
    if module is None or loader.problems:
        return None, loader.problems
    program: Program | None = None
    found: list[Diagnostic] = []
    if module.models() or model is not None:
        try:
            program, found = elaborate_model(choose(module, model, defines or {}))
        except FaultError as fault:
            return None, [fault.diagnostic]
    seen = {(diagnostic.code, diagnostic.span) for diagnostic in found}
    found += [diagnostic for diagnostic in unknown_names(module) if (diagnostic.code, diagnostic.span) not in seen]
    failed = any(diagnostic.is_error for diagnostic in found)
    if not failed:
        found += unused_names(module)
    found.sort(key=lambda diagnostic: _order(diagnostic, module.source))
    return None if failed else program, found


def _order(diagnostic: Diagnostic, main: SourceFile) -> tuple[bool, bool, str, int]:
    """Errors before warnings, the file that was asked for before its imports."""
    span = diagnostic.span
    place = (span.source is not main, span.source.name, span.start) if span else (False, "", 0)
    return (not diagnostic.is_error, *place)
