"""Options of the search for labels, which several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mctc.cli.options import Decorated

if TYPE_CHECKING:
    from mctc.decode.settings import Settings

METHODS = ("greedy", "beam", "time-synchronous")
NAMES = ("method", "beam", "max_symbols", "blank_penalty")


def search_options(command: Decorated) -> Decorated:
    """Options that `settings_of` reads, by the names of `Settings`."""
    options = (
        click.option("--search", "method", type=click.Choice(METHODS), default="greedy", show_default=True,
                     help="Follow the best label, or several hypotheses."),
        click.option("--beam", default=4, show_default=True, type=click.IntRange(1), help="How many hypotheses."),
        click.option("--max-symbols", default=5, show_default=True, type=click.IntRange(1),
                     help="Most labels at one frame."),
        click.option("--blank-penalty", default=0.0, show_default=True, type=float,
                     help="Taken off the blank's logit: more than 0 gives more labels."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def settings_of(options: dict[str, Any]) -> Settings:
    """The settings of a search; takes its options out of those of a command. Raises ValueError."""
    from mctc.decode.settings import Settings

    return Settings(**{name: options.pop(name) for name in NAMES})
