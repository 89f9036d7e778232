"""`python -m bench.fuzz`: random programs through everything, for so many programs or so many minutes."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mctc.atomic import write_text
from mctc.diagnostics.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from bench.fuzz.campaign import Plan
    from bench.fuzz.tally import Failure, Tally


@click.command()
@click.option("--examples", default=200, show_default=True, help="Valid programs; broken ones come on top.")
@click.option("--seed", default=0, show_default=True, help="Another seed, other programs.")
@click.option("--minutes", type=float, help="Stop after so long, whatever is left.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1, 256), help="Processes.")
@click.option(
    "--runtime",
    "--witness",
    "runtimes",
    multiple=True,
    metavar="NAME",
    help="Compare with this one only; may be repeated.",
)
@click.option("--broken/--no-broken", default=True, help="Also run specs that are damaged on purpose.")
@click.option("--shrink/--no-shrink", default=True, help="Make what fails small, for minutes; or report it as it is.")
@click.option("--regressions", type=click.Path(file_okay=False, path_type=Path), help="Write failures here, as specs.")
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the report here, as it grows."
)
@click.option("--markdown", type=click.Path(dir_okay=False, path_type=Path), help="Write it here as markdown.")
def fuzz(
    examples: int,
    seed: int,
    minutes: float | None,
    jobs: int,
    runtimes: tuple[str, ...],
    broken: bool,
    shrink: bool,
    regressions: Path | None,
    json_file: Path | None,
    markdown: Path | None,
) -> int:
    """Run random specs through the compiler and everything that executes what it writes (docs/fuzzing.md)."""
    if find_spec("hypothesis") is None:
        raise UsageError("the fuzzer needs hypothesis", hint="pip install 'mctc[test]'")
    from bench.fuzz import report
    from bench.fuzz.campaign import Plan, run
    from bench.fuzz.runtimes import RUNTIMES

    known = [runtime.name for runtime in RUNTIMES]
    for name in runtimes:
        if name not in known:
            raise UsageError(f"there is no runtime `{name}`", hint=f"there are {', '.join(known)}")
    plan = Plan(examples, seed, minutes, jobs, runtimes or None, broken, shrink)
    with Screen(plan, regressions, json_file) as screen:
        tally = run(plan, screen.seen)
    if markdown is not None:
        markdown.write_text(report.markdown(tally), encoding="utf-8")
    click.echo(report.markdown(tally))
    return ExitCode.FAILED if tally.failures else ExitCode.OK


class Screen:
    """How far a run is: a bar on a terminal, or now and then a line. Failures and the report are written at once:
    a run that is ended has said what it saw."""

    EVERY = 100  # programs from line to line

    def __init__(self, plan: Plan, regressions: Path | None, report: Path | None) -> None:
        from rich.progress import Progress

        self.plan, self.regressions, self.report = plan, regressions, report
        self.told: list[Failure] = []
        self.lines, self.began = 0, time.monotonic()
        self.progress = Progress(auto_refresh=False, disable=not sys.stdout.isatty())
        self.task = self.progress.add_task("programs", total=plan.examples)

    def __enter__(self) -> Screen:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def seen(self, tally: Tally) -> None:
        """Shows what is new."""
        for failure in tally.failures:
            if failure not in self.told:
                self._tell(failure)
        self.told = list(tally.failures)
        self._write(tally)
        self.progress.update(self.task, completed=tally.programs)
        self.progress.refresh()
        if self.progress.disable and tally.programs // self.EVERY > self.lines:
            self.lines = tally.programs // self.EVERY
            click.echo(f"{tally.programs:,} programs, {len(self.told)} failures", err=True)

    def _write(self, tally: Tally) -> None:
        if self.report is None:
            return
        told = {"plan": asdict(self.plan), "seconds": round(time.monotonic() - self.began), **tally.as_json()}
        write_text(self.report, json.dumps(told, indent=2) + "\n")

    def _tell(self, failure: Failure) -> None:
        from bench.fuzz.regression import write

        where = write(failure, self.regressions) if self.regressions is not None else None
        click.echo(f"{failure.stage}: {failure.what}\n{where or failure.text}\n", err=True)


def main() -> None:
    """The process: exit code 1 with a failure, 2 when the command line is at fault."""
    try:
        sys.exit(fuzz.main(standalone_mode=False))
    except UsageError as error:
        click.echo(error.render(), err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.USAGE)


if __name__ == "__main__":
    main()
