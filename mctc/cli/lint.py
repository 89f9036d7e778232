"""`mctc lint`: checks training code for what fails or slows down on a Mac's GPU."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mctc.cli.options import SPEC
from mctc.diagnostics.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from mctc.diagnostics.diagnostic import Diagnostic

PACKAGES = (".mlpackage", ".mlmodel", ".mlmodelc")


@click.command()
@click.argument("paths", nargs=-1, required=True, type=SPEC, metavar="PATH...")
@click.option("--mps", is_flag=True, help="Check PyTorch training code for Apple GPUs (MPS).")
@click.option("--select", multiple=True, metavar="CODES", help="Only these rules, such as MPS05,MPS010. Repeatable.")
@click.option("--ignore", multiple=True, metavar="CODES", help="All but these rules. Repeatable.")
@click.option("--statistics", is_flag=True, help="A line per rule, with counts, in place of the findings.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="Text for people, JSON for tools, annotations for GitHub.",
)
def lint(
    paths: tuple[Path, ...], mps: bool, select: tuple[str, ...], ignore: tuple[str, ...], statistics: bool, form: str
) -> int:
    """Check training code for what fails, slows down or misleads on a Mac.

    PATH is a Python file or a folder (every .py file in it). Nothing is run, and torch is not needed. Exits with 1 when
    something is found, with 2 when a file can't be read or is not Python. `# noqa: MPS050` silences a line.
    """
    _refuse_packages(paths, mps)
    if statistics and form != "text":
        raise UsageError(f"--statistics has no form {form!r}", hint="leave out --format, or --statistics")

    from mctc.lint.mps.check import check_file, python_files
    from mctc.lint.mps.table import NOT_CHECKED, RULES
    from mctc.lint.selection import chosen

    codes = chosen(select, ignore, RULES)
    files = list(python_files(paths))
    found = [each for file in files for each in check_file(file, codes)]
    if statistics:
        _print_statistics(found)
    elif found or form != "text":
        click.echo(FORMATS[form](found), nl=bool(found) or form == "json")
    else:
        click.echo(f"{_count(len(files), 'file')} checked, nothing found")
    if any(each.code == NOT_CHECKED.code for each in found):
        return ExitCode.USAGE
    return ExitCode.FAILED if found else ExitCode.OK


def _refuse_packages(paths: tuple[Path, ...], mps: bool) -> None:
    """Raises UsageError for a Core ML package, which `mctc lint` is to check one day, and without --mps."""
    packages = [path for path in paths if path.suffix.lower() in PACKAGES]
    if packages:
        raise UsageError(
            f"{packages[0]}: Core ML packages can't be linted yet",
            hint="`mctc lint --mps FILE.py` checks training code; `mctc verify` proves a build of mctc",
        )
    if not mps:
        raise UsageError("there is nothing to check for", hint="for PyTorch training code: mctc lint --mps FILE.py")


def _as_text(found: list[Diagnostic]) -> str:
    from mctc.cli.main import color_wanted
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
