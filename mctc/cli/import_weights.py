"""`mctc import-weights`: a checkpoint of another library under the names of a spec."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mctc.cli.options import PATH, SPEC, defines_option, model_option, plugin_option
from mctc.cli.verbosity import Verbosity, say, verbosity
from mctc.diagnostics.errors import ExitCode

if TYPE_CHECKING:
    from mctc.importing import ImportPlan, NameMap
    from mctc.language.read import Spec


def _list(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from mctc.importing import shipped_maps

        for each in shipped_maps():
            click.echo(f"{each.name}: {each.about} ({', '.join(each.specs)})")
        context.exit()


@click.command("import-weights")
@click.argument("checkpoint", type=PATH)
@click.argument("file", type=SPEC)
@click.option("--from", "family", metavar="NAME", help="The name map to use; --list shows them.")
@click.option("--map", "own", type=PATH, metavar="FILE.toml", help="A name map of your own.")
@click.option(
    "-o", "--output", type=PATH, metavar="FILE.safetensors",
    help="Where to write; nothing is written if left out.",
)  # fmt: skip
@click.option("--allow-left-over", is_flag=True, help="Write although the checkpoint holds more than the spec needs.")
@click.option("--list", is_flag=True, is_eager=True, expose_value=False, callback=_list, help="List the name maps.")
@defines_option
@model_option
@plugin_option
def import_weights(
    checkpoint: Path,
    file: Spec,
    family: str | None,
    own: Path | None,
    output: Path | None,
    allow_left_over: bool,
    defines: dict[str, Any],
    model: str | None,
) -> int:
    """Bring a checkpoint of another library under the names of a spec.

    CHECKPOINT is a safetensors file, the index of one in several files, the folder that holds it, or an ONNX model.
    FILE is a spec, or - for standard input. What becomes of every name is told; `mctc build --weights` takes the file
    that is written. Exits with 1, without writing, when a parameter is missing or misshapen, or a tensor is left over.
    """
    from mctc.driver.load import load_program
    from mctc.importing import Checkpoint, Status, plan, write

    names = _map(family, own)
    program = load_program(file, model, defines)
    planned = plan(program, Checkpoint(checkpoint), names)
    for line in report(planned, program.name, problems_alone=verbosity() is Verbosity.QUIET):
        click.echo(line)
    allowed = (Status.LEFT_OVER,) if allow_left_over else ()
    if any(row.status not in allowed for row in planned.problems):
        return ExitCode.FAILED
    if output is not None:
        metadata = {"mctc.model": program.name, "mctc.map": names.name, "mctc.checkpoint": planned.checkpoint.path.name}
        write(output, program, planned, metadata)
        say(f"{output}: {len(planned.recipes)} tensors, {output.stat().st_size / 1e6:.1f} MB")
    return ExitCode.OK


def _map(family: str | None, own: Path | None) -> NameMap:
    from mctc.importing import read_map, shipped_map

    if (family is None) == (own is None):
        raise click.UsageError("name one map: --from NAME (--list shows them) or --map FILE.toml")
    return read_map(own) if own is not None else shipped_map(family or "")


def report(planned: ImportPlan, model: str, *, problems_alone: bool = False) -> list[str]:
    """A line for every name, what is wrong last, and the counts; or what is wrong alone."""
    from mctc.importing import Status

    rows = sorted(planned.rows, key=lambda row: row.status.is_problem)
    lines = [
        f"{row.status.value:9}  {row.name} {list(row.shape)}: {row.told}"
        for row in rows
        if row.status.is_problem or not problems_alone
    ]
    if problems_alone:
        return lines
    counts = {status: sum(row.status is status for row in rows) for status in Status}
    told = ", ".join(f"{count} {status.value}" for status, count in counts.items() if count or status is Status.MISSING)
    return [*lines, f"{model}: {told}"]
