"""`mctc verify`: the proof of a build, check by check."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mctc.cli.columns import in_columns
from mctc.cli.options import PATH, plugin_option
from mctc.cli.progress import progress
from mctc.cli.terminal import WIDTH, table_console
from mctc.cli.verbosity import Verbosity, verbosity
from mctc.diagnostics.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mctc.proof.check import Check

WORDS = {True: "ok", False: "FAILED", None: "not run"}
STYLES = {"ok": "green", "FAILED": "bold red", "not run": "yellow"}


@click.command()
@click.argument("built", type=PATH, metavar="BUILD")
@click.option("--weights", type=PATH, metavar="FILE", help="The checkpoint of a build with trained weights.")
@click.option(
    "--runtime", "--witness", "runtimes", multiple=True, metavar="TARGET",
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
@click.option("--no-runtimes", "--no-witnesses", "alone", is_flag=True, help="Ask none besides the build's own.")
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
@plugin_option
def verify(
    built: Path, weights: Path | None, runtimes: tuple[str, ...], inputs: tuple[str, ...],
    engines: tuple[str, ...], engine_limit: float | None, alone: bool, as_json: bool,
) -> int:  # fmt: skip
    """Prove a build: every check, measured.

    The files and programs of the build, every pass evaluated before and after, coremltools' own type inference; then,
    over a battery of inputs with speech and digital silence among them, the step functions over chunks, and whole
    utterances, by every runtime against the IR's reference semantics. The runtimes are the build's own and
    those of the other targets, for which the program is built in passing: Core ML's evaluator, torch, onnxruntime, the
    Core AI runtime. The exit code is 1 when a check fails.
    """
    from mctc.driver.contents import blamed
    from mctc.proof.proof import Proof

    if alone and runtimes:
        raise UsageError("--no-runtimes and --runtime exclude each other")
    asked = [] if alone else list(runtimes) or None
    checks: list[Check] = []
    with blamed(built), progress(f"verifying {built}") as step:
        if engine_limit is not None and not engines:
            engines = ("engine",)
        for check in Proof(built, weights, asked, inputs, engines, engine_limit).checks():
            checks.append(check)
            step(f"{check.name} of {check.component}: {check.measured} {WORDS[check.ok]}")
    if as_json:
        click.echo(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        _tell(checks)
    return ExitCode.FAILED if any(check.ok is False for check in checks) else ExitCode.OK


def _tell(checks: list[Check]) -> None:
    """The report; with -q what failed alone, if anything did."""
    failed = [check for check in checks if check.ok is False]
    if verbosity() is not Verbosity.QUIET:
        click.echo(report(checks, apart=verbosity() is Verbosity.VERBOSE))
    elif failed:
        click.echo(
            "\n".join(f"{check.name} of {check.component}: {check.measured} FAILED" for check in failed), err=True
        )


def report(checks: list[Check], *, apart: bool = False) -> str:
    """What was checked and what every runtime says in at most 80 columns: two tables, warnings, the outcome in a line.

    apart: a row for every component that a runtime computed, not one for the worst of them.
    """
    plain, computed = ([r for r in checks if (r.seconds is None) is kind] for kind in (True, False))
    parts = [
        _drawn(("check", "component", "measured", "limit", ""), [_row(check) for check in plain]),
        _drawn(
            ("runtime", *(["component"] if apart else []), "error", "limit", "seconds", ""),
            [_component(each) for each in computed] if apart else [_runtime(each) for each in _by_name(computed)],
        ),
    ]
    notes = [f"warning: {note}\n" for note in dict.fromkeys(note for check in checks for note in check.notes)]
    facts = [f"{fact}\n" for check in checks for fact in check.facts]
    told = in_columns("".join([*facts, *notes]), WIDTH)
    return "\n".join([part for part in parts if part]) + told + summary(checks)


def _by_name(checks: list[Check]) -> list[list[Check]]:
    return [[check for check in checks if check.name == name] for name in dict.fromkeys(check.name for check in checks)]


def _row(check: Check) -> tuple[str, ...]:
    return check.name, check.component, check.measured, check.limit, WORDS[check.ok]


def _component(check: Check) -> tuple[str, ...]:
    return check.name, check.component, check.measured, check.limit, f"{check.seconds or 0.0:.2f}", WORDS[check.ok]


def _runtime(checks: list[Check]) -> tuple[str, ...]:
    """One row for a runtime: its worst component, and which of them disagree."""
    worst = max(checks, key=lambda check: (check.ok is False, check.error or 0.0))
    disagree = [check.component for check in checks if check.ok is False]
    verdict = f"{WORDS[False]}: {', '.join(disagree)}" if disagree else WORDS[True]
    seconds = sum(check.seconds or 0.0 for check in checks)
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


def summary(checks: list[Check]) -> str:
    """The outcome in a line or two."""
    failed, skipped = (sum(check.ok is value for check in checks) for value in (False, None))
    if failed:
        return f"{failed} of {len(checks)} checks failed: this build is not proven"
    left = f"; {skipped} could not be run" if skipped else ""
    return f"{len(checks) - skipped} checks hold{left}.\nPlacement and speed on a device are no part of the proof."
