"""`mctc compress`: the `quantize` section that a budget allows, and weights rounded for it."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mctc.cli.apart import check_apart
from mctc.cli.options import PATH, SPEC, defines_option, model_option, plugin_option
from mctc.cli.progress import progress
from mctc.cli.verbosity import say
from mctc.diagnostics.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from mctc.compress.session import Session
    from mctc.language.read import Spec


@click.command()
@click.argument("spec", type=SPEC, metavar="SPEC")
@click.option("--stats", type=PATH, required=True, metavar="FILE", help="What mctc calibrate measured.")
@click.option("--weights", type=PATH, required=True, metavar="FILE.safetensors", help="The trained weights.")
@click.option("--size", metavar="SIZE", help="The most that all parameters may take as stored, such as 3.0MB.")
@click.option("--loss", type=click.FloatRange(0, min_open=True), metavar="NATS",
              help="The most that an utterance's loss may grow: the smallest such model.")  # fmt: skip
@click.option("--forms", default=None, metavar="FORMS",
              help="What a weight may be: int8, int4, palette3, palette3g16, ... with commas.")  # fmt: skip
@click.option("--device", metavar="NAME", help="A chip or family to allow for; the oldest supported if left out.")
@click.option("-o", "--output", type=PATH, metavar="FILE", help="Write the weights there, rounded for the section.")
@click.option("--diff", is_flag=True, help="Print what would change in the spec; exit with 1 if anything would.")
@click.option("--write", is_flag=True, help="Write the section into the spec.")
@click.option("--build", type=PATH, metavar="BUILD", help="A build for torch, to try or tune with: needs --data.")
@click.option("--data", "data", type=PATH, multiple=True, metavar="DATA",
              help="Speech for trials and tuning. Repeatable.")  # fmt: skip
@click.option("--tokens", type=PATH, metavar="FILE", help="What the classes stand for; the build's own if left out.")
@click.option("--limit", type=click.IntRange(1), default=48, show_default=True, metavar="N",
              help="How many utterances a trial hears.")  # fmt: skip
@click.option("--rank", type=click.IntRange(1, 8), metavar="BITS",
              help="Try each weight alone in BITS bits, and tell how well the predictions rank them.")  # fmt: skip
@click.option("--smooth", type=click.FloatRange(0, 1), metavar="SHARE",
              help="How much of the range of activations in 8 bits moves from norms into weights: 0.5.")  # fmt: skip
@click.option("--effort", type=click.Choice(("nearest", "quick", "full")), default="full", show_default=True,
              help="How much is tried on a weight: scales, errors made up for once, or all that is known.")  # fmt: skip
@click.option("--tune", type=click.IntRange(1), metavar="STEPS",
              help="Tune rounded weights together in so many steps over the --data, such as 200.")  # fmt: skip
@click.option("--plot", type=PATH, metavar="FILE.svg", help="Draw the frontier of size against loss.")
@defines_option
@model_option
@plugin_option
def compress(spec: Spec, **options: Any) -> int:
    """Find the quantize section that a budget allows, and round the weights for it.

    Each weight is rounded in each form that the device takes, its errors made up for by the weights beside it; what the
    loss feels of the rest is predicted from the calibration, and the best choice within --size or --loss is solved for.
    Without either, the section of the spec stays. With --build and --data the predictions are corrected by true losses.
    """
    from mctc.atomic import check_place
    from mctc.cli.process import no_cycle_search
    from mctc.compress.session import Session

    no_cycle_search()
    _check(spec, options)
    read = {f"--{name}": options[name] for name in ("stats", "weights", "tokens", "data")}
    read["SPEC"] = spec if isinstance(spec, Path) else None
    check_apart({"-o": options["output"], "--plot": options["plot"]}, read)
    for out in filter(None, (options["output"], options["plot"])):
        check_place(out)
    with progress(f"compressing {spec}") as step:
        session = Session(spec, options, step)
        lines = session.searched() if _budget(options) else session.as_written()
    for line in lines:
        say(line)
    if options["output"] is not None:
        with progress("rounding") as step:
            told = session.write(options["output"], step)
        for line in told:
            say(line)
    asked = options["diff"] or options["write"]
    changed = _edit(spec, session, options) if asked and isinstance(spec, Path) else False
    return ExitCode.FAILED if changed and options["diff"] and not options["write"] else ExitCode.OK


def _budget(options: dict[str, Any]) -> bool:
    return options["size"] is not None or options["loss"] is not None


def _check(spec: Spec, options: dict[str, Any]) -> None:
    from mctc.compress.errors import CompressError
    from mctc.compress.session import size_of

    if options["size"] is not None and options["loss"] is not None:
        raise UsageError("--size and --loss are two budgets", hint="give one of them")
    if options["size"] is not None:
        try:
            size_of(options["size"])
        except CompressError as error:
            raise UsageError(str(error), hint=error.hint) from error
    if bool(options["build"]) != bool(options["data"]):
        raise UsageError("trials take a build and speech", hint="--build BUILD --data DATA, both or neither")
    if options["tune"] and not (options["build"] and options["output"] is not None):
        raise UsageError(
            "--tune takes a build and speech, and a file to write", hint="--build BUILD --data DATA -o FILE"
        )
    if options["rank"] and not options["build"]:
        raise UsageError("--rank needs true losses", hint="--build BUILD --data DATA")
    if options["loss"] is not None and not math.isfinite(options["loss"]):
        raise UsageError(f"--loss {options['loss']} is no limit", hint="a number of nats, such as 0.2")
    if options["smooth"] is not None and options["build"]:
        raise UsageError("trials hear the norms of the build, which --smooth changes", hint="leave one of them out")
    searching = ("diff", "write", *([] if options["tune"] else ["build"]), "rank", "plot")
    if not _budget(options) and (said := [name for name in searching if options[name]]):
        raise UsageError(f"--{said[0]} is of a search, which takes a budget", hint="--size 3.0MB, or --loss 0.2")
    if (options["diff"] or options["write"]) and not isinstance(spec, Path):
        raise UsageError("a spec on standard input can't be rewritten", hint="name its file")


def _edit(spec: Path, session: Session, options: dict[str, Any]) -> bool:
    """Shows or writes the spec with the new section; whether that changes it."""
    from mctc.atomic import write_text

    edit = session.edit(spec)
    if options["diff"]:
        click.echo("".join(difference(edit.path, edit.before, edit.after)), nl=False)
    if options["write"] and edit.after != edit.before:
        write_text(edit.path, edit.after)
        print(f"{edit.path}: written", file=sys.stderr)
    return edit.after != edit.before


def difference(path: Path, before: str, after: str) -> Sequence[str]:
    """As a patch."""
    from difflib import unified_diff

    return list(unified_diff(before.splitlines(True), after.splitlines(True), str(path), f"{path} (compressed)"))
