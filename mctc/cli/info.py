"""`mctc info`: what a Core ML package is: inputs, outputs, states, functions, sizes, weights, multiply-accumulates."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mctc.cli.options import PATH
from mctc.diagnostics.errors import ExitCode, MctcError

if TYPE_CHECKING:
    from mctc.linter.coreml.report import Unchecked


@click.command()
@click.argument("paths", nargs=-1, required=True, type=PATH, metavar="PATH...")
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", help="How to print.")
@click.option(
    "--shape",
    "shapes",
    multiple=True,
    metavar="INPUT=EXTENTS",
    help="Figures for an input of several shapes at this one, such as mel=1x80x1500. Repeatable.",
)
@click.option("--all", "everything", is_flag=True, help="Every type of op, size and entry of the metadata.")
def info(paths: tuple[Path, ...], form: str, shapes: tuple[str, ...], everything: bool) -> int:
    """Say what a Core ML package is: inputs, outputs, states, functions, sizes, weights, multiply-accumulates.

    PATH is a .mlpackage, .mlmodel or .mlmodelc, a file inside one, or a folder to search for them. Nothing is checked:
    `mctc lint` does that. Exits with 2 when a package can't be read.
    """
    from mctc.cli.terminal import color_wanted
    from mctc.linter.coreml.formats.summary import render_summary, summaries_json
    from mctc.linter.coreml.models import models_of
    from mctc.linter.coreml.packages import packages_of
    from mctc.linter.coreml.report import Unchecked
    from mctc.linter.coreml.sizes import check_names, read_shapes
    from mctc.linter.coreml.summary import summary_of
    from mctc.package import ForeignModel

    wanted = read_shapes(shapes)
    models = [model for path in packages_of(paths) for model in models_of(path)]
    unread = [model for model in models if isinstance(model, Unchecked)]
    read = [summary_of(model, wanted) for model in models if not isinstance(model, Unchecked)]
    if read:
        inputs = [port.name for each in read for function in each.functions for port in function.inputs]
        inputs += [feature.name for model in models if isinstance(model, ForeignModel) for feature in model.inputs]
        check_names(wanted, inputs)
    if form == "json":
        click.echo(summaries_json(read, unread))
    else:
        color = color_wanted(sys.stdout)
        texts = [render_summary(each, color=color, everything=everything) for each in read]
        if texts:
            click.echo("\n\n".join(texts))
        for each in unread:
            _tell(each)
    return ExitCode.USAGE if any(each.fails for each in unread) else ExitCode.OK


def _tell(model: Unchecked) -> None:
    from mctc.cli.columns import tell
    from mctc.cli.terminal import color_wanted

    error = MctcError(model.reason, hint=model.hint or None)
    tell(error.render(color=color_wanted(sys.stderr)))
    for line in model.about:
        tell(f"  {line}")
