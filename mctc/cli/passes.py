"""`mctc passes`: the pipeline as it would run, in order."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass

import click

from mctc.cli.options import plugin_option


@dataclass(frozen=True)
class Row:
    """One pass of the pipeline; `origin` is the package or file that brings it."""

    stage: str
    name: str
    promise: str
    summary: str
    origin: str


@click.command()
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True,
    help="A table for people, JSON for tools.",
)  # fmt: skip
@plugin_option
def passes(form: str) -> None:
    """List the passes in pipeline order, with what they promise.

    Common passes run before training and deployment part ways, deploy passes on the derived step functions.
    """
    if form == "json":
        import json

        click.echo(json.dumps([asdict(row) for row in rows()], indent=2))
    else:
        _print_table(rows())


def rows() -> list[Row]:
    """The pipeline. Raises PluginError for a broken plugin, OrderError where the declared order can't be met."""
    from mctc.plugins import registry
    from mctc.rewrite.order import STAGES, ordered

    known = registry().passes()
    return [
        Row(stage, each.name, str(each.promise), each.summary(), registry().plugin("passes", each.name).origin)
        for stage in STAGES
        for each in ordered(known.values(), stage)
    ]


def _print_table(found: list[Row]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from mctc.cli.main import color_wanted

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("stage", "pass", "promise"):
        table.add_column(column, no_wrap=True)
    table.add_column("what it does", overflow="fold")
    for row, previous in zip(found, [None, *found], strict=False):
        first = previous is None or previous.stage != row.stage
        what = Text(row.summary)
        if not row.origin.startswith("mctc "):
            what.append(f" (of {row.origin})", style="cyan")
        table.add_row(row.stage if first else "", Text(row.name, style="bold"), row.promise, what)
    Console(file=sys.stdout, no_color=not color_wanted(sys.stdout), highlight=False).print(table)
