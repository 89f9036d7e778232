"""`mctc check`: says what is wrong with specs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from mctc.cli.options import SPEC, defines_option, model_option, plugin_option
from mctc.diagnostics.errors import ExitCode


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
    from mctc.language import check_file

    diagnostics = [found for file in files for found in check_file(file, model=model, defines=defines)]
    if form == "json":
        click.echo(as_json(diagnostics))
    elif diagnostics:
        click.echo(render_all(diagnostics, color=color_wanted(sys.stderr)), err=True)
    else:
        click.echo(f"{', '.join(str(file) for file in files)}: no errors")
    return ExitCode.FAILED if any(found.is_error for found in diagnostics) else ExitCode.OK
