"""`mctc check`: says what is wrong with specs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mctc.cli.options import SPEC, defines_option, model_option, plugin_option
from mctc.diagnostics.errors import ExitCode

if TYPE_CHECKING:
    from mctc.diagnostics.diagnostic import Diagnostic


@click.command()
@click.argument("files", nargs=-1, required=True, type=SPEC, metavar="FILE...")
@defines_option
@model_option
@plugin_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Text for people, JSON for tools.",
)
def check(files: tuple[Path, ...], defines: dict[str, Any], model: str | None, form: str) -> int:
    """Check specs and report what is wrong with them.

    Exits with 1 when there is an error in any of them.
    """
    from mctc.cli.main import color_wanted
    from mctc.diagnostics.render import as_json, render_all

    diagnostics = [found for file in files for found in _check(file, model, defines)]
    if form == "json":
        click.echo(as_json(diagnostics))
    elif diagnostics:
        click.echo(render_all(diagnostics, color=color_wanted(sys.stderr)), err=True)
    else:
        click.echo(f"{', '.join(str(file) for file in files)}: no errors")
    return ExitCode.FAILED if any(found.is_error for found in diagnostics) else ExitCode.OK


def _check(file: Path, model: str | None, defines: dict[str, Any]) -> list[Diagnostic]:
    """What is wrong with a file; for a model with a stream section also what keeps it from being streamed."""
    from mctc.language.check import check_all

    program, found = check_all(file, model=model, defines=defines)
    if program is not None and (program.stream.settings or program.utterance.settings):
        from mctc.build.chunk import lengths
        from mctc.diagnostics.diagnostic import Diagnostic, DiagnosticError
        from mctc.diagnostics.errors import MctcError
        from mctc.streaming.derive import derive_program

        try:
            derive_program(program, lengths(program, None))
        except DiagnosticError as error:
            return [*error.diagnostics, *found]
        except MctcError as error:
            return [Diagnostic("MCT0202", error.message, None, error.hint, file=str(file)), *found]
    return found
