"""`python -m mctc.fuzz`: random programs through everything, for so many programs or so many minutes."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mctc.diagnostics.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from mctc.fuzz.campaign import Plan
    from mctc.fuzz.tally import Tally


@click.command()
@click.option("--examples", default=200, show_default=True, help="Valid programs; broken ones come on top.")
@click.option("--seed", default=0, show_default=True, help="Another seed, other programs.")
@click.option("--minutes", type=float, help="Stop after so long, whatever is left.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1, 256), help="Processes.")
@click.option(
    "--witness", "witnesses", multiple=True, metavar="NAME", help="Compare with this one only; may be repeated."
)
@click.option("--broken/--no-broken", default=True, help="Also run specs that are damaged on purpose.")
@click.option("--regressions", type=click.Path(file_okay=False, path_type=Path), help="Write failures here, as specs.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the report here.")
@click.option("--markdown", type=click.Path(dir_okay=False, path_type=Path), help="Write it here as markdown.")
def fuzz(
    examples: int,
    seed: int,
    minutes: float | None,
    jobs: int,
    witnesses: tuple[str, ...],
    broken: bool,
    regressions: Path | None,
    json_file: Path | None,
    markdown: Path | None,
) -> int:
    """Run random specs through the compiler and everything that executes what it writes (docs/fuzzing.md)."""
    if find_spec("hypothesis") is None:
        raise UsageError("the fuzzer needs hypothesis", hint="pip install 'mctc[test]'")
    from mctc.fuzz import report
    from mctc.fuzz.campaign import Plan
    from mctc.fuzz.regression import write
    from mctc.fuzz.witnesses import WITNESSES

    known = [witness.name for witness in WITNESSES]
    for name in witnesses:
        if name not in known:
            raise UsageError(f"there is no witness `{name}`", hint=f"there are {', '.join(known)}")
    tally = _run(Plan(examples, seed, minutes, jobs, witnesses or None, broken))
    if json_file is not None:
        json_file.write_text(json.dumps(tally.as_json(), indent=2) + "\n", encoding="utf-8")
    if markdown is not None:
        markdown.write_text(report.markdown(tally), encoding="utf-8")
    click.echo(report.markdown(tally))
    for failure in tally.failures:
        where = write(failure, regressions) if regressions is not None else None
        click.echo(f"{failure.stage}: {failure.what}\n{where or failure.text}\n", err=True)
    return ExitCode.FAILED if tally.failures else ExitCode.OK


def _run(plan: Plan) -> Tally:
    """The campaign with a bar that shows how far it is."""
    from rich.progress import Progress

    from mctc.fuzz.campaign import run

    with Progress(auto_refresh=False) as progress:
        task = progress.add_task("programs", total=plan.examples)

        def seen(tally: Tally) -> None:
            progress.update(task, completed=tally.programs, description=f"{len(tally.failures)} failures, programs")
            progress.refresh()

        return run(plan, seen)


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
