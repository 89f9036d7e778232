"""`mctc verify`: the proof of a build, rung by rung."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mctc.diagnostics.errors import ExitCode

if TYPE_CHECKING:
    from mctc.runtime.ladder import Rung

PATH = click.Path(path_type=Path)
WORDS = {True: "ok", False: "FAILED", None: "not run"}


@click.command()
@click.argument("built", type=PATH, metavar="BUILD")
@click.option("--weights", type=PATH, metavar="FILE", help="The checkpoint of a build with trained weights.")
@click.option("--json", "as_json", is_flag=True, help="Print the rungs as JSON.")
def verify(built: Path, weights: Path | None, as_json: bool) -> int:
    """Prove a build: every rung of the ladder, measured.

    Over ten seconds of the bundled recording: the files and programs of the build, every pass evaluated before and
    after, coremltools' own type inference, and the step functions over chunks, in the IR and from the package on disk
    (fp32 and fp16), against the whole program. The exit code is 1 when a rung fails.
    """
    from mctc.runtime.ladder import Ladder

    rungs = list(Ladder(built, weights).climb())
    click.echo(json.dumps([asdict(rung) for rung in rungs], indent=2) if as_json else table(rungs))
    return ExitCode.FAILED if any(rung.ok is False for rung in rungs) else ExitCode.OK


def table(rungs: list[Rung]) -> str:
    """The rungs as a table of at most 80 columns, and what it says in one line."""
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("rung", "component", "measured", "limit", ""):
        shown.add_column(heading, overflow="fold")
    styles = {True: "green", False: "bold red", None: "yellow"}
    for rung in rungs:
        word = f"[{styles[rung.ok]}]{WORDS[rung.ok]}[/]"
        shown.add_row(rung.name, rung.component, rung.measured.replace("[", r"\["), rung.limit, word)
    console = Console(width=min(80, Console().width), file=sys.stdout, highlight=False)
    with console.capture() as capture:
        console.print(shown)
    return capture.get() + summary(rungs)


def summary(rungs: list[Rung]) -> str:
    failed, skipped = (sum(rung.ok is value for rung in rungs) for value in (False, None))
    if failed:
        return f"{failed} of {len(rungs)} rungs failed: this build is not proven"
    left = f"; {skipped} could not be run" if skipped else ""
    return f"{len(rungs) - skipped} rungs hold{left}.\nPlacement and speed on a device are no part of the proof."
