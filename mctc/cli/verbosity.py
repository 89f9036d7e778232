"""How much a command says: `-q` and `-v`, in front of the command or behind it."""

from __future__ import annotations

import sys
from enum import IntEnum

import click

from mctc.cli.columns import fitted

KEY = "mctc.verbosity"


class Verbosity(IntEnum):
    """QUIET: errors, and what was asked for, alone. VERBOSE: what is done too, step by step, to standard error."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


def verbosity() -> Verbosity:
    """That of the running command."""
    context = click.get_current_context(silent=True)
    return Verbosity.NORMAL if context is None else context.find_root().meta.get(KEY, Verbosity.NORMAL)


def say(text: str) -> None:
    """Prints what a command says of itself, unless it is to be quiet."""
    if verbosity() is not Verbosity.QUIET:
        click.echo(fitted(text, sys.stdout))


def verbosity_options() -> list[click.Option]:
    """-q and -v. Both together are a usage error."""
    return [
        _option(["-q", "--quiet"], Verbosity.QUIET, "Print errors, and what was asked for, alone."),
        _option(["-v", "--verbose"], Verbosity.VERBOSE, "Print what is done, step by step."),
    ]


def _option(names: list[str], meant: Verbosity, told: str) -> click.Option:
    def chosen(context: click.Context, _: click.Parameter, wanted: bool) -> None:
        if wanted:
            said = context.find_root().meta.setdefault(KEY, meant)
            if said is not meant:
                raise click.UsageError("--quiet and --verbose exclude each other", context)

    return click.Option(names, is_flag=True, expose_value=False, is_eager=True, callback=chosen, help=told)
