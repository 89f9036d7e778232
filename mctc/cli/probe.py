"""`mctc probe`: a kit for the owner of a Mac, and what its answers settle."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mctc.cli.options import PATH
from mctc.cli.verbosity import say
from mctc.diagnostics.errors import ExitCode


@click.group()
def probe() -> None:
    """Settle on a Mac what sources contest about the Neural Engine.

    `write` makes a folder of small packages and a script for the owner of a Mac; `read` turns what comes back into a
    report, a table of constants and a list of rules that this chip settles; `rehearse` answers with mctc's evaluator in
    the Mac's place.
    """


@probe.command()
@click.argument("folder", type=PATH)
@click.option("--force", is_flag=True, help="Replace a folder that mctc did not write.")
def write(folder: Path, force: bool) -> int:
    """Write the kit into FOLDER: packages, inputs, and the script that runs them."""
    from mctc.probe.kit import probes, write_kit

    write_kit(folder, force=force)
    say(f"{folder}: {len(probes())} probes; README.txt says how to run them on a Mac")
    return ExitCode.OK


@probe.command()
@click.argument("output", type=PATH, metavar="ANSWERS.zip")
@click.option(
    "--arithmetic", default="engine:h18g", show_default=True, metavar="NAME",
    help="What answers for the engine (docs/engine-arithmetic.md).",
)  # fmt: skip
@click.option("--device", default="M6", show_default=True, metavar="NAME", help="Whose placement is predicted.")
def rehearse(output: Path, arithmetic: str, device: str) -> int:
    """Answer the probes with mctc's evaluator in the Mac's place."""
    from mctc.probe.answers import answered_here, write_answers

    write_answers(output, answered_here(arithmetic, device))
    say(f"{output}: answered in {arithmetic}, not by a Mac")
    return ExitCode.OK


@probe.command()
@click.argument("answers", type=PATH, metavar="ANSWERS.zip")
@click.option("--constants", type=PATH, metavar="FILE.json", help="Where to write the tables that were read.")
@click.option("--json", "as_json", is_flag=True, help="The verdicts as JSON.")
def read(answers: Path, constants: Path | None, as_json: bool) -> int:
    """Say what ANSWERS.zip settles, and what mctc would have to change for that chip."""
    from mctc.probe.answers import read_answers
    from mctc.probe.findings import findings
    from mctc.probe.report import as_record, report

    found = findings(read_answers(answers))
    if constants is not None:
        from mctc.atomic import write_text

        record = {"chip": found.answers.chip, "system": found.answers.system, "tables": dict(found.constants)}
        write_text(constants, json.dumps(record, indent=1) + "\n")
    click.echo(json.dumps(as_record(found), indent=1) if as_json else report(found))
    return ExitCode.OK
