"""docs/cli.md lists every command with its arguments and options, as the commands themselves declare them.

MCTC_UPDATE_DOCS=1 writes the list anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import click

from mctc.cli.commands import COMMANDS, common_options, group

HEADING = "## Commands\n\n"


def reference() -> str:
    context = click.Context(group(), info_name="mctc")
    commands = [group().get_command(context, name) for name in COMMANDS]
    return "\n\n".join("\n".join(section(command)) for command in commands if command is not None) + "\n"


def section(command: click.Command) -> Iterator[str]:
    context = click.Context(command)
    arguments = command.collect_usage_pieces(context)[1:]  # the first stands for the options
    yield f"### {' '.join(['mctc', str(command.name), *arguments])}\n"
    yield cleandoc(command.help or "")
    common = {option.name for option in common_options()}  # the page's beginning has them once
    options = [each for each in command.params if isinstance(each, click.Option) and each.name not in common]
    if options:
        yield "\n| option | |\n|---|---|"
    for option in options:
        written, _ = option.get_help_record(context) or ("", "")
        metavar = written.rpartition(option.opts[-1])[2]
        names = ", ".join(f"`{name}`" for name in option.opts + option.secondary_opts)
        default = f" Default: {option.default}." if option.show_default and option.default is not None else ""
        yield f"| {names}{metavar.replace('|', ' or ')} | {option.help}{default} |"


def test_the_reference_is_what_the_commands_declare(root: Path) -> None:
    page = root / "docs/cli.md"
    text = page.read_text(encoding="utf-8")
    head, heading, listed = text.partition(HEADING)
    if os.environ.get("MCTC_UPDATE_DOCS"):
        page.write_text(head + heading + reference(), encoding="utf-8")
    else:
        assert listed == reference()
