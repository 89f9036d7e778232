"""`mctc check`: says what is wrong with specs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from mctc.cli.columns import tell
from mctc.cli.options import SPEC, defines_option, model_option, plugin_option
from mctc.cli.verbosity import Verbosity, say, verbosity
from mctc.diagnostics.errors import ExitCode

if TYPE_CHECKING:
    from mctc.diagnostics.diagnostic import Diagnostic
    from mctc.language.read import Spec


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
@click.option(
    "--target", "targets", multiple=True, metavar="NAME", help="Check all that a build for it would. Repeatable."
)
def check(
    files: tuple[Spec, ...], defines: dict[str, Any], model: str | None, form: str, targets: tuple[str, ...]
) -> int:
    """Check specs and report what is wrong with them.

    FILE is a spec, or - for standard input. What no target takes is an error; what some targets refuse is a warning
    that names them, and an error if --target asks for one of them. Exits with 1 when there is an error in any of the
    files.
    """
    from mctc.cli.process import no_cycle_search
    from mctc.cli.terminal import color_wanted
    from mctc.diagnostics.render import as_json, render_all

    no_cycle_search()
    diagnostics = [found for file in files for found in _check(file, model, defines, targets)]
    if verbosity() is Verbosity.QUIET and form == "text":
        diagnostics = [found for found in diagnostics if found.is_error]
    if form == "json":
        click.echo(as_json(diagnostics))
    elif diagnostics:
        tell(render_all(diagnostics, color=color_wanted(sys.stderr)))
    else:
        say(f"{', '.join(str(file) for file in files)}: no errors")
    return ExitCode.FAILED if any(found.is_error for found in diagnostics) else ExitCode.OK


def _check(file: Spec, model: str | None, defines: dict[str, Any], targets: Sequence[str]) -> list[Diagnostic]:
    """What is wrong with a file: what the language finds and, where that is no error, what a build would refuse."""
    from mctc.language.check import check_all

    program, found = check_all(file, model=model, defines=defines)
    if program is None:
        return found
    from mctc.driver.check import check_program

    refused = [_of_file(each, file) for each in check_program(program, targets)]
    return sorted([*refused, *found], key=lambda each: not each.is_error)


def _of_file(diagnostic: Diagnostic, file: Spec) -> Diagnostic:
    """A diagnostic without a place is told of the whole file."""
    return diagnostic if diagnostic.span or diagnostic.file else replace(diagnostic, file=str(file))
