"""A diagnostic: what is wrong, where, and the way out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mctc.diagnostics.errors import MctcError
from mctc.diagnostics.record import Diagnostic, Note, Severity
from mctc.diagnostics.source import Location, SourceFile, span_at

__all__ = [
    "Diagnostic", "DiagnosticError", "LocatedError", "Note", "Severity", "diagnostic_at", "source_named",
]  # fmt: skip


class DiagnosticError(MctcError):
    """One or more diagnostics, at least one of them an error."""

    def __init__(self, diagnostics: Sequence[Diagnostic] | Diagnostic) -> None:
        self.diagnostics = (diagnostics,) if isinstance(diagnostics, Diagnostic) else tuple(diagnostics)
        first = self.diagnostics[0]
        super().__init__(f"{first.code}: {first.message}", hint=first.hint)

    def render(self, *, color: bool = False) -> str:
        from mctc.diagnostics.render import render_all

        return render_all(self.diagnostics, color=color)


def diagnostic_at(
    location: Location | None,
    code: str,
    message: str,
    *,
    hint: str | None = None,
    severity: Severity = Severity.ERROR,
    source: SourceFile | None = None,
) -> Diagnostic:
    """A diagnostic at an IR location, for stages after the language.

    The source line is that of `source`, of the file that the location was made from, or read back from
    `location.file`; without any of them the place alone is shown.
    """
    if location is None:
        return Diagnostic(code, message, None, hint, severity=severity)
    source = source or location.source or source_named(location.file)
    if source is None:
        return Diagnostic(code, message, None, hint, severity=severity, file=str(location))
    return Diagnostic(code, message, span_at(source, location), hint, severity=severity)


class LocatedError(DiagnosticError):
    """One thing that is wrong with a spec, found behind the language, at the IR location that it comes from."""

    def __init__(self, code: str, message: str, location: Location | None, *, hint: str | None = None) -> None:
        super().__init__(diagnostic_at(location, code, message, hint=hint))


def source_named(name: str, folder: Path | None = None) -> SourceFile | None:
    """The source file that locations call `name`, read anew from `folder`; None when it cannot be read."""
    from importlib import import_module

    library, _, inner = name.partition("/")
    try:
        if library == "mctc.spec":  # files of the library go by the name of their package
            root = Path(str(import_module(library).__file__)).parent
            return SourceFile(name, (root / inner).read_text(encoding="utf-8"), shipped=True)
        return SourceFile(name, Path(folder or "", name).read_text(encoding="utf-8"))
    except (OSError, ValueError, ModuleNotFoundError):
        return None
