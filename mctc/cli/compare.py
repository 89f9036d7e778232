"""`mctc compare`: what models cost, side by side."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from mctc.cli.columns import tell
from mctc.cli.options import SPEC, defines_option, plugin_option
from mctc.diagnostics.errors import ExitCode, MctcError

if TYPE_CHECKING:
    from mctc.language.read import Spec


@click.command()
@click.argument("paths", nargs=-1, required=True, type=SPEC, metavar="SPEC|BUILD...")
@defines_option
@plugin_option
@click.option("--build", "builds", is_flag=True, help="Build specs in passing, to tell placement and memory as well.")
@click.option(
    "--format", "form", type=click.Choice(["text", "markdown", "json"]), default="text", show_default=True,
    help="Text for people, Markdown for documents, JSON for tools.",
)  # fmt: skip
def compare(paths: tuple[Spec, ...], defines: dict[str, Any], builds: bool, form: str) -> int:
    """Compare what models cost: parameters, arithmetic, states, latency, placement.

    A SPEC, or - for one on standard input, is counted from its step functions, in seconds and without weights.
    Placement and padded memory are those of a package: name the folder of a BUILD, or pass --build. What is wrong with
    one hides no other; the exit code is 1 then.
    """
    from mctc.cli.terminal import color_wanted
    from mctc.compare.operand import measure
    from mctc.compare.written import NOTE, as_json, as_markdown, as_text

    models, failed = [], {}
    for path in paths:
        try:
            models.append(measure(path, defines, builds=builds))
        except MctcError as error:
            failed[str(path)] = str(error)
            tell(f"{path}\n{error.render(color=color_wanted(sys.stderr))}")
    if form == "json":
        click.echo(as_json(models, failed))
    elif models:
        click.echo(as_markdown(models) if form == "markdown" else f"{as_text(models)}\n\n{_wrapped(NOTE)}")
    return ExitCode.FAILED if failed else ExitCode.OK


def _wrapped(text: str) -> str:
    from textwrap import fill

    return fill(text, 80)
