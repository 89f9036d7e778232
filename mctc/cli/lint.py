"""`mctc lint`: what of a Core ML package leaves the Neural Engine; with --mps, what of training code fails on a Mac."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mctc.cli.options import PATH, plugin_option
from mctc.cli.verbosity import Verbosity, verbosity
from mctc.diagnostics.errors import UsageError
from mctc.linter.config import FORMATS, NEVER
from mctc.linter.selection import SEVERITIES


@click.command()
@click.argument("paths", nargs=-1, type=PATH, metavar="PATH...")
@click.option("--device", metavar="CHIP", help="The chip to check for, such as m4 or a17; the oldest if left out.")
@click.option("--os", "system", metavar="SYSTEM", help="The system, such as ios18; the oldest that the opset permits.")
@click.option(
    "--shape",
    "shapes",
    multiple=True,
    metavar="INPUT=EXTENTS",
    help="Judge an input of several shapes at this one, such as mel=1x80x1500. Repeatable.",
)
@click.option(
    "--exclude", multiple=True, metavar="PATTERN", help="Leave out packages of this name or path. Repeatable."
)
@click.option(
    "--select", multiple=True, metavar="CODES", help="Only these rules, such as ANE-CV,ANE-ST-001. Repeatable."
)
@click.option("--ignore", multiple=True, metavar="CODES", help="All but these rules. Repeatable.")
@click.option(
    "--severity",
    multiple=True,
    metavar="CODE=LEVEL",
    help="Another severity for rules; off leaves them out. Repeatable.",
)
@click.option(
    "--fail-on", type=click.Choice((*SEVERITIES, NEVER)), help="The least severity that fails. Default: error."
)
@click.option("--format", "form", type=click.Choice(FORMATS), help="How to print. Default: text.")
@click.option("-o", "--output", type=PATH, metavar="FILE", help="Write the report there.")
@click.option("--all", "everything", is_flag=True, help="Every message and op, in place of the first few.")
@click.option("--statistics", is_flag=True, help="A line per rule, with counts, in place of the findings.")
@click.option("--baseline", type=PATH, metavar="FILE", help="Report what is not in this file.")
@click.option("--write-baseline", type=PATH, metavar="FILE", help="Write what is found to a baseline.")
@click.option("--diff", is_flag=True, help="Compare two packages, the old one first: what got better, what worse.")
@click.option("--measured", type=PATH, metavar="PLAN", help="Compare with PLAN.json of the exporter, or analytics.mil.")
@click.option("--exporter", is_flag=True, help="Print the script that writes PLAN.json on a Mac.")
@click.option("--fix", is_flag=True, help="Repair what can be repaired without changing a number, proven before.")
@click.option(
    "--effects", is_flag=True, help="Run each function on noise with every known miscompile (docs/faults.md)."
)
@click.option("--dry-run", is_flag=True, help="With --fix: say what would change, write nothing.")
@click.option("--mps", is_flag=True, help="Check PyTorch training code for Apple GPUs instead.")
@click.option("--config", type=PATH, metavar="FILE", help="Settings; the nearest pyproject.toml.")
@click.option("--isolated", is_flag=True, help="Read no settings.")
@plugin_option
def lint(paths: tuple[Path, ...], mps: bool, exporter: bool, **options: Any) -> int:
    """Check Core ML packages for what leaves the Neural Engine, on any machine.

    PATH is a .mlpackage, .mlmodel or .mlmodelc, a file inside one, or a folder to search for them. Nothing is converted
    or run. Exits with 1 when something of --fail-on or worse is found, with 2 when a package can't be read.

    With --mps, PATH is a Python file or a folder of them; it exits with 1 when anything is found, and `# noqa: MPS050`
    silences a line.
    """
    if exporter:
        from mctc.cli.lint_packages import print_exporter

        return print_exporter()
    if not paths:
        raise UsageError("there is nothing to check", hint="name a package: mctc lint model.mlpackage")
    if mps:
        return _code(paths, **options)
    code = next((path for path in paths if path.suffix == ".py"), None)
    if code is not None:
        raise UsageError(f"{code}: training code is checked with --mps", hint=f"mctc lint --mps {code}")
    from mctc.cli.process import no_cycle_search

    no_cycle_search()
    from mctc.cli.lint_packages import lint_packages

    options["everything"] |= verbosity() is Verbosity.VERBOSE
    return lint_packages(paths, **options)


def _code(
    paths: tuple[Path, ...],
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    statistics: bool,
    form: str | None,
    output: Path | None,
    config: Path | None,
    isolated: bool,
    **others: Any,
) -> int:
    from mctc.cli.lint_code import lint_code

    said = [name for name, value in others.items() if value not in (None, False, ())]
    if said:
        name = {"system": "os", "everything": "all", "shapes": "shape"}.get(said[0], said[0].replace("_", "-"))
        raise UsageError(f"--{name} is for packages, not for training code", hint="leave it out, or --mps")
    return lint_code(
        paths, select, ignore, statistics=statistics, form=form, output=output, config=config, isolated=isolated
    )
