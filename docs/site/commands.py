"""The commands of `mctc` as Markdown, as the commands themselves declare them: the last part of docs/cli.md."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc

import click

from mctc.cli.commands import COMMANDS, common_options, group

HEADING = "## Commands\n\n"


def reference() -> str:
    """A section for every command."""
    context = click.Context(group(), info_name="mctc")
    commands = [group().get_command(context, name) for name in COMMANDS]
    return "\n\n".join("\n".join(section(command)) for command in commands if command is not None) + "\n"


def section(command: click.Command) -> Iterator[str]:
    """Lines of a command's section: its arguments, what it does, and a table of its own options."""
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
