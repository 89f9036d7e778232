"""`mctc lint --mps`: training code in, findings out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mctc.diagnostics.errors import ExitCode, UsageError
from mctc.linter.config import Settings, read_settings
from mctc.linter.selection import Layer, layered

if TYPE_CHECKING:
    from mctc.diagnostics.diagnostic import Diagnostic


def lint_code(
    paths: Sequence[Path],
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    *,
    statistics: bool,
    form: str | None,
    output: Path | None = None,
    config: Path | None = None,
    isolated: bool = False,
) -> int:
    """Checks files and folders of Python, prints what is found and returns the exit code. Raises UsageError."""
    settings = read_settings(config, isolated=isolated).merged(Settings((Layer(select, ignore),)))
    form = form or "text"
    if statistics and form != "text":
        raise UsageError(f"--statistics has no form {form!r}", hint="leave out --format, or --statistics")

    from mctc.linter.mps.check import check_files, python_files
    from mctc.linter.mps.table import NOT_CHECKED, RULES

    codes = layered(settings.layers_for(training=True), RULES).codes
    files = list(python_files(paths))
    found = check_files(files, codes, [path for path in paths if path.is_dir()])
    _print(_statistics(found) if statistics else _rendered(form, found, len(files), output), output)
    if any(each.code == NOT_CHECKED.code for each in found):
        return ExitCode.USAGE
    return ExitCode.FAILED if found else ExitCode.OK


def _rendered(form: str, found: list[Diagnostic], files: int, output: Path | None) -> str:
    from mctc.cli.terminal import color_wanted

    if form == "text":
        from mctc.linter.mps.formats.text import render_text

        return render_text(found, files, color=output is None and color_wanted(sys.stdout))
    if form == "json":
        from mctc.diagnostics.render import as_json

        return as_json(found)
    if form == "github":
        from mctc.linter.mps.formats.github import render_github

        return render_github(found)
    if form == "sarif":
        from mctc.linter.mps.formats.sarif import render_sarif

        return render_sarif(found)
    if form == "markdown":
        from mctc.linter.mps.formats.markdown import render_markdown

        return render_markdown(found)
    from mctc.linter.mps.formats.page import render_page

    return render_page(found)


def _statistics(found: list[Diagnostic]) -> str:
    from mctc.linter.mps.formats.text import statistics

    return statistics(found)


def _print(text: str, output: Path | None) -> None:
    """To standard output, or to a file. Raises UsageError for one that can't be written."""
    if output is None:
        click.echo(text, nl=bool(text))
        return
    from mctc.atomic import write_text

    try:
        write_text(output, f"{text}\n")
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"{output}: can't be written ({reason})") from error
