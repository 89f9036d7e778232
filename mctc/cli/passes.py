"""`mctc passes`: the pipeline as it would run, in order; or one pass with its options."""

from __future__ import annotations

import sys
from dataclasses import asdict
from textwrap import wrap
from typing import TYPE_CHECKING

import click

from mctc.cli.options import names_of, plugin_option
from mctc.cli.terminal import WIDTH
from mctc.records import dataclass

if TYPE_CHECKING:
    from mctc.rewrite.base import Pass

STAGES = {
    "common": "on whole utterances, before training and deployment part ways",
    "number": "on whole utterances too, for what is deployed in fp16",
    "deploy": "on the step functions derived from them (derive-step)",
}


@dataclass(frozen=True)
class PassRow:
    """One pass of the pipeline; `origin` is the package or file that brings it."""

    stage: str
    name: str
    promise: str
    summary: str
    origin: str
    options: tuple[OptionRow, ...]


@dataclass(frozen=True)
class OptionRow:
    """An option of a pass; `takes` and `default` as they are written."""

    name: str
    takes: str
    default: str
    doc: str


@click.command()
@click.argument("name", required=False, shell_complete=names_of("passes"))
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True,
    help="A table for people, JSON for tools.",
)  # fmt: skip
@plugin_option
def passes(name: str | None, form: str) -> None:
    """List the passes in pipeline order, with what they promise; or say all of the pass NAME, and its options.

    The second column is what `mctc build --verify-each` holds each to.
    """
    found = rows() if name is None else [row_of(name)]
    if form == "json":
        import json

        click.echo(json.dumps([asdict(row) for row in found], indent=2))
    elif name is None:
        _print_table(found)
    else:
        click.echo("\n".join(_page(found[0])))


def rows() -> list[PassRow]:
    """The pipeline. Raises PluginError for a broken plugin, OrderError where the declared order can't be met."""
    from mctc.plugins import registry
    from mctc.rewrite.order import ordered

    known = registry().passes()
    return [_row(each) for stage in STAGES for each in ordered(known.values(), stage)]


def row_of(name: str) -> PassRow:
    """One pass. Raises UnknownNameError with near names where there is none."""
    from mctc.plugins import registry

    return _row(registry().load("passes", name))


def _row(cls: type[Pass]) -> PassRow:
    from mctc.plugins import registry
    from mctc.rewrite.options import options_of, text_of

    options = [OptionRow(each.name, each.takes, text_of(each.default), each.doc) for each in options_of(cls).values()]
    origin = registry().plugin("passes", cls.name).origin
    return PassRow(cls.stage, cls.name, str(cls.promise), cls.summary(), origin, tuple(options))


def _page(row: PassRow) -> list[str]:
    from inspect import cleandoc

    from mctc.plugins import registry

    cls: type[Pass] = registry().load("passes", row.name)
    lines = [f"{row.name}: a {row.stage} pass of {row.origin}, promise: {row.promise}", ""]
    for paragraph in cleandoc(cls.__doc__ or "").split("\n\n"):
        lines += [*wrap(paragraph, WIDTH), ""]
    for word, names in (("after", cls.after), ("before", cls.before)):
        told = f"runs {word} {', '.join(name.rstrip('?') for name in names)}"
        lines += wrap(told, WIDTH, subsequent_indent="    ", break_on_hyphens=False) * bool(names)
    if not row.options:
        return [*lines, "no options"]
    lines.append(f"options (--pass '{row.name}{{{row.options[0].name}=...}}'):")
    for option in row.options:
        lines.append(f"  {option.name}: {option.takes}; {option.default} if left out")
        lines += wrap(option.doc, WIDTH, initial_indent="    ", subsequent_indent="    ")
    return lines


def _print_table(found: list[PassRow]) -> None:
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
