"""`mctc lint --mps`: training code in, findings out."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mctc.diagnostics.errors import ExitCode, UsageError
from mctc.lint.config import Settings, read_settings
from mctc.lint.selection import Layer, layered

if TYPE_CHECKING:
    from mctc.diagnostics.diagnostic import Diagnostic


def lint_code(
    paths: Sequence[Path],
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    *,
    statistics: bool,
    form: str | None,
    config: Path | None = None,
    isolated: bool = False,
) -> int:
    """Checks files and folders of Python, prints what is found and returns the exit code. Raises UsageError."""
    settings = read_settings(config, isolated=isolated).merged(Settings((Layer(select, ignore),)))
    form = form or "text"
    if form not in FORMATS:
        raise UsageError(f"training code has no form {form!r}", hint=f"there are {', '.join(FORMATS)}")
    if statistics and form != "text":
        raise UsageError(f"--statistics has no form {form!r}", hint="leave out --format, or --statistics")

    from mctc.lint.mps.check import check_files, python_files
    from mctc.lint.mps.table import NOT_CHECKED, RULES

    codes = layered(settings.layers_for(training=True), RULES).codes
    files = list(python_files(paths))
    found = check_files(files, codes, [path for path in paths if path.is_dir()])
    if statistics:
        _print_statistics(found)
    elif found or form != "text":
        click.echo(FORMATS[form](found), nl=bool(found) or form == "json")
    else:
        click.echo(f"{_count(len(files), 'file')} checked, nothing found")
    if any(each.code == NOT_CHECKED.code for each in found):
        return ExitCode.USAGE
    return ExitCode.FAILED if found else ExitCode.OK


def _as_text(found: list[Diagnostic]) -> str:
    from mctc.cli.terminal import color_wanted
    from mctc.diagnostics.render import render

    color = color_wanted(sys.stdout)
    return "\n\n".join([*(render(each, color=color) for each in found), _summary(found)])


def _summary(found: list[Diagnostic]) -> str:
    """'3 errors and 1 warning in 2 files; `mctc explain MPS050` says more'."""
    errors = sum(each.is_error for each in found)
    files = {each.span.source.name if each.span is not None else each.file for each in found}
    counted = [_count(errors, "error"), _count(len(found) - errors, "warning")]
    text = " and ".join(part for part in counted if part)
    return f"{text} in {_count(len(files), 'file')}; `mctc explain {found[0].code}` says more"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}" if number else ""


def _as_json(found: list[Diagnostic]) -> str:
    from mctc.diagnostics.render import as_json

    return as_json(found)


def _as_github(found: list[Diagnostic]) -> str:
    """Workflow commands that GitHub shows beside the lines of a pull request."""
    return "\n".join(_annotation(each) for each in found)


def _annotation(diagnostic: Diagnostic) -> str:
    from mctc.lint.github import workflow_command

    properties = {"title": diagnostic.code, "file": diagnostic.file or ""}
    if diagnostic.span is not None:
        at = diagnostic.span.location
        properties |= {"file": at.file, "line": str(at.line), "col": str(at.column)}
        properties |= {"endLine": str(at.end_line), "endColumn": str(at.end_column)}
    message = f"{diagnostic.message}; {diagnostic.hint}" if diagnostic.hint else diagnostic.message
    return workflow_command(diagnostic.severity.value, message, properties)


FORMATS: dict[str, Callable[[list[Diagnostic]], str]] = {"text": _as_text, "json": _as_json, "github": _as_github}


def _print_statistics(found: list[Diagnostic]) -> None:
    from mctc.lint.mps.table import RULES

    for code, count in sorted(Counter(each.code for each in found).items(), key=lambda each: (-each[1], each[0])):
        click.echo(f"{count:6}  {code}  {RULES[code].summary}")
