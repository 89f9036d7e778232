"""`mctc passes`: the pipeline as it would run, in order."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass

import click

from mctc.cli.options import plugin_option

STAGES = {
    "common": "on whole utterances, before training and deployment part ways",
    "number": "on whole utterances too, for what is deployed in fp16",
    "deploy": "on the step functions derived from them (derive-step)",
}


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

    The second column is what `mctc build --verify-each` holds each to.
    """
    if form == "json":
        import json

        click.echo(json.dumps([asdict(row) for row in rows()], indent=2))
    else:
        _print_table(rows())


def rows() -> list[Row]:
    """The pipeline. Raises PluginError for a broken plugin, OrderError where the declared order can't be met."""
    from mctc.plugins import registry
    from mctc.rewrite.order import ordered

    known = registry().passes()
    return [
        Row(stage, each.name, str(each.promise), each.summary(), registry().plugin("passes", each.name).origin)
        for stage in STAGES
        for each in ordered(known.values(), stage)
    ]


def _print_table(found: list[Row]) -> None:
    from rich.table import Table
    from rich.text import Text

    from mctc.cli.terminal import color_wanted, table_console

    color, console = color_wanted(sys.stdout), table_console(width=None)
    for stage, what in STAGES.items():
        click.secho(f"{stage}: {what}", bold=True, color=color)
        table = Table.grid(padding=(0, 2, 0, 0))
        for column in ("pass", "promise"):
            table.add_column(column, no_wrap=True)
        table.add_column("summary", overflow="fold")
        for row in found:
            if row.stage == stage:
                summary = Text(row.summary)
                if not row.origin.startswith("mctc "):
                    summary.append(f" (of {row.origin})", style="cyan")
                table.add_row(Text(f"  {row.name}"), row.promise, summary)
        with console.capture() as printed:
            console.print(table)
        # Rich fills every line to its width; who copies or compares the text wants it without.
        click.echo("\n".join(line.rstrip() for line in printed.get().splitlines()), color=color)
