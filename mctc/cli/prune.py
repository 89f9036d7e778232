"""`mctc prune`: a checkpoint sorted for the `prune` section of a spec."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mctc.cli.apart import check_apart
from mctc.cli.options import PATH, SPEC, defines_option, model_option, plugin_option
from mctc.cli.verbosity import say
from mctc.diagnostics.errors import ExitCode

if TYPE_CHECKING:
    from mctc.language.read import Spec


@click.command()
@click.argument("spec", type=SPEC, metavar="SPEC")
@click.option("--stats", type=PATH, required=True, metavar="FILE", help="What mctc calibrate measured.")
@click.option("--weights", type=PATH, required=True, metavar="FILE.safetensors", help="The trained weights.")
@click.option("-o", "--output", type=PATH, required=True, metavar="FILE", help="Where to write the sorted weights.")
@click.option("--cut", is_flag=True, help="Write what the spec keeps alone: a checkpoint to train its module from.")
@defines_option
@model_option
@plugin_option
def prune(
    spec: Spec, stats: Path, weights: Path, output: Path, cut: bool, defines: dict[str, Any], model: str | None
) -> int:
    """Sort a checkpoint, so that what a spec prunes is what the loss feels least.

    The statistics are of the same weights and of the spec without its prune section. The sorted weights are those of
    the same function: they bind to the spec with and without the section, whatever its shares. With --cut they are
    those of the smaller model alone.
    """
    from mctc.cli.process import no_cycle_search
    from mctc.coded import opened
    from mctc.compress.sorting import check_fits, kept_tensors, orders, sorted_tensors, write_sorted
    from mctc.compress.statistics import read_measured
    from mctc.driver.load import load_program
    from mctc.rewrite.removed_groups import removed

    no_cycle_search()
    named = spec if isinstance(spec, Path) else None
    check_apart({"-o": output}, {"--stats": stats, "--weights": weights, "SPEC": named})
    program, checkpoint = load_program(spec, model, defines), opened(weights)
    check_fits(program, weights)
    groups, found = orders(program, checkpoint, read_measured(stats, weights))
    tensors = sorted_tensors(program, groups, found, checkpoint)
    tensors = kept_tensors(program, groups, removed(program, groups), tensors) if cut else tensors
    write_sorted(weights, tensors, {"mctc.sorted": str(spec)}, output)
    say(f"{output}: dimensions sorted: {len(found)}; nats that halving each would add")
    say(f"  {'':44} {'size':>5} {'predicted':>9} {'unsorted':>9}")
    for order in found:
        best, first = order.lost(len(order.groups) // 2)
        say(f"  {order.dimension.name:44} {len(order.groups):5} {best:9.5f} {first:9.5f}")
    return ExitCode.OK
