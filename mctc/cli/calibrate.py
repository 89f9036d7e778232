"""`mctc calibrate`: what compression needs to know of a trained model, measured over speech."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mctc.cli.apart import check_apart
from mctc.cli.options import PATH, plugin_option
from mctc.cli.progress import progress
from mctc.cli.verbosity import Verbosity, say, verbosity
from mctc.diagnostics.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from mctc.compress.speech import Speech
    from mctc.compress.statistics import Statistics


@click.command()
@click.argument("given", nargs=-1, required=True, type=PATH, metavar="BUILD DATA...")
@click.option("-o", "--output", type=PATH, required=True, metavar="FILE", help="Where to write the statistics.")
@click.option("--weights", type=PATH, metavar="FILE.safetensors", help="The trained weights.")
@click.option("--tokens", type=PATH, metavar="FILE", help="What the classes stand for; the build's own if left out.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="The first N utterances alone.")
@click.option(
    "--shard", "shard", metavar="I/N",
    help="The I-th of N shares of them; what torchrun or a Slurm array says if left out.",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Keep what the file holds, and go on with the utterances that it lacks.")
@click.option("--merge", is_flag=True, help="Add up the files of all shards: mctc calibrate --merge FILE... -o FILE")
@plugin_option
def calibrate(
    given: tuple[Path, ...], output: Path, weights: Path | None, tokens: Path | None, limit: int | None,
    shard: str | None, resume: bool, merge: bool,
) -> int:  # fmt: skip
    """Measure over speech what `mctc compress` needs to know of a trained model.

    BUILD is a build for the target torch, whose module has the loss that the spec names; DATA are manifests with texts,
    as `mctc score` takes them. Of every weight that gets the products of its inputs and their range, and of every
    parameter the mean square of its gradients. The sums are exact: shards in any order give the same file.
    """
    from mctc.compress.statistics import merged

    if merge:
        told = {"--weights": weights, "--tokens": tokens, "--limit": limit, "--shard": shard, "--resume": resume}
        if said := [name for name, value in told.items() if value]:
            hint = "mctc calibrate --merge FILE... -o FILE"
            raise UsageError(f"{said[0]} says what to measure, and --merge adds up what was measured", hint=hint)
        statistics = merged(given)
        statistics.write(output)
    else:
        statistics, output = _measured(given, output, weights, tokens, limit, shard, resume)
    for line in summary(statistics, output):
        say(line)
    return ExitCode.OK


def _measured(
    given: tuple[Path, ...], output: Path, weights: Path | None, tokens: Path | None, limit: int | None,
    asked: str | None, resume: bool,
) -> tuple[Statistics, Path]:  # fmt: skip
    from mctc.atomic import check_place
    from mctc.compress.calibrate import calibrate as measure
    from mctc.compress.growing_sums import GrowingSums
    from mctc.compress.opened import identity, learner_of, open_built, speech_of
    from mctc.compress.statistics import Statistics, read_statistics
    from mctc.score.shard import asked as shard_of

    if len(given) < 2 or weights is None:
        needed = "--weights FILE is" if len(given) > 1 else "a build and what to listen to are"
        raise UsageError(f"{needed} needed", hint="mctc calibrate BUILD DATA... --weights FILE -o FILE")
    shard, built = shard_of(asked, os.environ), open_built(given[0])
    output = shard.named(output)
    check_apart({"-o": output}, {"--weights": weights, "--tokens": tokens, "DATA": given[1:]})
    check_place(output)
    learner = learner_of(built, weights)  # what has no loss needs no tokens
    speech = speech_of(built, given[1:], tokens, limit)
    about = identity(built, weights, speech)
    if resume and output.exists():
        statistics = read_statistics(output)
        if (statistics.about, statistics.total) != (about, len(speech.utterances)):
            hint = "give another -o, or leave --resume out to begin anew"
            raise UsageError(f"{output} is of another model, checkpoint or data", hint=hint)
    else:
        statistics = Statistics(about, len(speech.utterances), GrowingSums(output.resolve().parent))
    if shard.told and shard.count > 1 and verbosity() is not Verbosity.QUIET:
        click.echo(f"{shard.told}: this is shard {shard.number} of {shard.count}", err=True)
    with progress("calibrating") as step:
        measure(learner, speech, statistics, shard, output, step)
    if verbosity() is not Verbosity.QUIET and (told := unknown_tokens(speech)):
        click.echo(f"warning: {told}", err=True)
    return statistics, output


def unknown_tokens(speech: Speech) -> str:
    """How many tokens of the texts stand for what the tokens can't spell; '' where none does."""
    unknown, count = speech.unknown()
    if not unknown:
        return ""
    return f"{unknown:,} of {count:,} tokens of the texts are the unknown one: the loss is of other texts than these"


def summary(statistics: Statistics, output: Path) -> list[str]:
    """What was measured, in a few lines."""
    from mctc.compress.statistics import FISHER, MOMENT

    keys = list(statistics.sums.grids)
    weights, gradients = (sum(key.startswith(kind) for key in keys) for kind in (MOMENT, FISHER))
    done = f"{len(statistics.done):,} of {statistics.total:,} utterances"
    size = f", {output.stat().st_size / 1e6:.3g} MB" if output.is_file() else ""  # of a pipe nobody knows
    seen = f"inputs of {weights} weights, gradients of {gradients} parameters"
    return [
        f"{output}: {statistics.about['model']}, {done}{size}",
        f"  mean loss {statistics.loss:.4f} nats an utterance; {seen}",
    ]
