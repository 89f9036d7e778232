"""`mctc verify`: the proof of a build, rung by rung."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mctc.cli.options import PATH, plugin_option
from mctc.cli.progress import progress
from mctc.cli.terminal import table_console
from mctc.cli.verbosity import Verbosity, verbosity
from mctc.diagnostics.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mctc.proof.rung import Rung

WORDS = {True: "ok", False: "FAILED", None: "not run"}
STYLES = {"ok": "green", "FAILED": "bold red", "not run": "yellow"}


@click.command()
@click.argument("built", type=PATH, metavar="BUILD")
@click.option("--weights", type=PATH, metavar="FILE", help="The checkpoint of a build with trained weights.")
@click.option(
    "--witness", "witnesses", multiple=True, metavar="TARGET",
    help="Ask only the runtime of this target besides the build's own. Repeatable.",
)  # fmt: skip
@click.option(
    "--input", "inputs", multiple=True, metavar="NAME",
    help="Run only this item of the battery, such as noise or silence (docs/proof.md). Repeatable.",
)  # fmt: skip
@click.option(
    "--arithmetic", "engines", multiple=True, metavar="engine[:FAMILY[:UNKNOWN]]",
    help="Execute it as the Neural Engine of this family does, too (docs/engine-arithmetic.md). Repeatable.",
)  # fmt: skip
@click.option(
    "--engine-limit", type=float, metavar="DB",
    help="Decibels that every component must reach as the engine computes; nothing is asked of it if left out.",
)  # fmt: skip
@click.option("--no-witnesses", "alone", is_flag=True, help="Ask none besides the build's own.")
@click.option("--json", "as_json", is_flag=True, help="Print the rungs as JSON.")
@plugin_option
def verify(
    built: Path, weights: Path | None, witnesses: tuple[str, ...], inputs: tuple[str, ...],
    engines: tuple[str, ...], engine_limit: float | None, alone: bool, as_json: bool,
) -> int:  # fmt: skip
    """Prove a build: every rung of the ladder, measured.

    The files and programs of the build, every pass evaluated before and after, coremltools' own type inference; then,
    over a battery of inputs with speech and digital silence among them, the step functions over chunks, and whole
    utterances, by every witness against the IR's reference semantics. The witnesses are the build's own runtime and
    those of the other targets, for which the program is built in passing: Core ML's evaluator, torch, onnxruntime, the
    Core AI runtime. The exit code is 1 when a rung fails.
    """
    from mctc.driver.contents import blamed
    from mctc.proof.ladder import Ladder

    if alone and witnesses:
        raise UsageError("--no-witnesses and --witness exclude each other")
    asked = [] if alone else list(witnesses) or None
    rungs: list[Rung] = []
    with blamed(built), progress(f"verifying {built}") as step:
        if engine_limit is not None and not engines:
            engines = ("engine",)
        for rung in Ladder(built, weights, asked, inputs, engines, engine_limit).climb():
            rungs.append(rung)
            step(f"{rung.name} of {rung.component}: {rung.measured} {WORDS[rung.ok]}")
    if as_json:
        click.echo(json.dumps([asdict(rung) for rung in rungs], indent=2))
    else:
        _tell(rungs)
    return ExitCode.FAILED if any(rung.ok is False for rung in rungs) else ExitCode.OK


def _tell(rungs: list[Rung]) -> None:
    """The report; with -q what failed alone, if anything did."""
    failed = [rung for rung in rungs if rung.ok is False]
    if verbosity() is not Verbosity.QUIET:
        click.echo(report(rungs, apart=verbosity() is Verbosity.VERBOSE))
    elif failed:
        click.echo("\n".join(f"{rung.name} of {rung.component}: {rung.measured} FAILED" for rung in failed), err=True)


def report(rungs: list[Rung], *, apart: bool = False) -> str:
    """What was checked and what every witness says, as two tables of at most 80 columns, and the outcome in a line.

    apart: a row for every component that a witness computed, not one for the worst of them.
    """
    checks, computed = ([r for r in rungs if (r.seconds is None) is kind] for kind in (True, False))
    parts = [
        _drawn(("rung", "component", "measured", "limit", ""), [_check(rung) for rung in checks]),
        _drawn(
            ("witness", *(["component"] if apart else []), "error", "limit", "seconds", ""),
            [_component(each) for each in computed] if apart else [_witness(each) for each in _by_name(computed)],
        ),
    ]
    notes = [f"warning: {note}\n" for note in dict.fromkeys(note for rung in rungs for note in rung.notes)]
    facts = [f"{fact}\n" for rung in rungs for fact in rung.facts]
    return "\n".join([part for part in parts if part]) + "".join([*facts, *notes]) + summary(rungs)


def _by_name(rungs: list[Rung]) -> list[list[Rung]]:
    return [[rung for rung in rungs if rung.name == name] for name in dict.fromkeys(rung.name for rung in rungs)]


def _check(rung: Rung) -> tuple[str, ...]:
    return rung.name, rung.component, rung.measured, rung.limit, WORDS[rung.ok]


def _component(rung: Rung) -> tuple[str, ...]:
    return rung.name, rung.component, rung.measured, rung.limit, f"{rung.seconds or 0.0:.2f}", WORDS[rung.ok]


def _witness(rungs: list[Rung]) -> tuple[str, ...]:
    """One row for a witness: its worst component, and which of them disagree."""
    worst = max(rungs, key=lambda rung: (rung.ok is False, rung.error or 0.0))
    disagree = [rung.component for rung in rungs if rung.ok is False]
    verdict = f"{WORDS[False]}: {', '.join(disagree)}" if disagree else WORDS[True]
    seconds = sum(rung.seconds or 0.0 for rung in rungs)
    return worst.name, worst.measured, worst.limit, f"{seconds:.2f}", verdict


def _drawn(headings: Sequence[str], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold", justify="right" if heading == "seconds" else "left")
    for *cells, verdict in rows:
        table.add_row(*map(Text, cells), Text(verdict, STYLES[verdict.partition(":")[0]]))
    console = table_console()
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def summary(rungs: list[Rung]) -> str:
    """The outcome in a line or two."""
    failed, skipped = (sum(rung.ok is value for rung in rungs) for value in (False, None))
    if failed:
        return f"{failed} of {len(rungs)} rungs failed: this build is not proven"
    left = f"; {skipped} could not be run" if skipped else ""
    return f"{len(rungs) - skipped} rungs hold{left}.\nPlacement and speed on a device are no part of the proof."
