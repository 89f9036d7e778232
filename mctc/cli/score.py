"""`mctc score`: how well a build hears."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mctc.cli.options import PATH, arithmetic_option, plugin_option
from mctc.cli.progress import progress
from mctc.cli.search_options import asked_of, decoder_options, fused_of, search_options, settings_of
from mctc.cli.verbosity import Verbosity, verbosity
from mctc.diagnostics.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from mctc.score.hear import System
    from mctc.score.journal import Journal
    from mctc.score.record import Record
    from mctc.score.result import Result
    from mctc.score.shard import Shard
    from mctc.score.work import Task

OFFSETS = 4  # frames 0 to 3
SAYING = ("paired", "offsets", "whole", "limit", "ctm", "shard", "resume")  # what to score
NORMALISERS = ("english", "basic", "simple", "none")


@click.command()
@click.argument("given", nargs=-1, type=PATH, metavar="BUILD DATA...")
@click.option("--paired", is_flag=True, help="Two builds over the same data: BUILD BUILD DATA...")
@click.option("--offsets", is_flag=True, help="Start recordings 0 to 3 mel frames later, and tell the spread.")
@click.option("--whole", is_flag=True, help="Hear each utterance in one call of the encoder, not as a stream.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Score the first N utterances alone.")
@click.option("--ctm", type=PATH, metavar="FILE", help="When each word ends, to tell how late words come.")
@click.option(
    "--normaliser", type=click.Choice(NORMALISERS), default="english", show_default=True,
    help="What texts are brought to before they are compared (docs/score.md).",
)  # fmt: skip
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="How many processes.")
@click.option(
    "--shard", "shard", metavar="I/N",
    help="Score the I-th of N shares; what torchrun or a Slurm array says if left out.",
)  # fmt: skip
@click.option("--merge", is_flag=True, help="Add up the results of all shards: mctc score --merge RESULT...")
@click.option("--resume", type=PATH, metavar="FILE", help="Keep what is done there, and don't do it again.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True,
              help="Text for people, JSON for tools.")  # fmt: skip
@click.option("--output", type=PATH, metavar="FILE", help="Write the whole result there, as JSON.")
@click.option("--html", type=PATH, metavar="FILE", help="Write a page with every utterance, the worst first.")
@search_options
@arithmetic_option
@click.option("--weights", type=PATH, metavar="FILE", help="The checkpoint of a torch build with trained weights.")
@decoder_options
@plugin_option
def score(given: tuple[Path, ...], merge: bool, **options: Any) -> int:
    """Count the errors of a build over recordings whose words are known.

    DATA is a NeMo manifest, a Kaldi folder, lhotse cuts, a folder of sound files with a .txt beside each, or a list of
    recording <tab> text (docs/score.md). Tells word and character error rates with a confidence interval, speed, and
    how late words come. Each recording is one utterance. Needs jiwer and a normaliser: pip install 'mctc[score]'.

    Exits with 0 whatever the rates are, with 1 where anything can't be heard or read.
    """
    result = _merged(given, options) if merge else _scored(given, options)
    _put(result, options)
    return ExitCode.OK


def _merged(given: Sequence[Path], options: dict[str, Any]) -> Result:
    from mctc.score.result import merged

    said = [f"--{name}" for name in SAYING if options[name]]
    if said or not given:
        told = f"{' and '.join(said)} says what to score" if said else "no results are given"
        raise UsageError(f"{told}, and --merge adds up what was scored", hint="mctc score --merge RESULT...")
    return merged(given)


def _scored(given: Sequence[Path], options: dict[str, Any]) -> Result:
    """Hears what is asked for. Sets the shard's own names of the files that are written."""
    from mctc.score.alignment import jiwer
    from mctc.score.manifests.read import read_data
    from mctc.score.normalise import normaliser
    from mctc.score.result import identity, result_of
    from mctc.score.shard import asked
    from mctc.score.work import Task

    builds = 2 if options["paired"] else 1
    if len(given) <= builds:
        raise UsageError(
            f"{'two builds' if builds > 1 else 'a build'} and what to score are needed",
            hint=f"mctc score {'BUILD ' * builds}DATA...{' --paired' * (builds - 1)}",
        )
    normaliser(options["normaliser"]), jiwer()  # what isn't installed is told before anything is heard
    shard = asked(options["shard"], os.environ)
    _name_files(options, shard)
    systems = _systems(given[:builds], options)
    utterances = read_data(given[builds:], options["ctm"])[: options["limit"]]
    offsets = range(OFFSETS if options["offsets"] else 1)
    about = identity(systems, utterances, len(offsets))
    share = shard.of(utterances)
    tasks = [Task(system, each, offset) for each in share for system in systems for offset in offsets]
    with _kept(options["resume"], about) as journal:
        records = _hear(tasks, journal, options["jobs"])
    return result_of(about, options["normaliser"], shard, [records[task.key] for task in tasks])


def _systems(folders: Sequence[Path], options: dict[str, Any]) -> list[System]:
    from mctc.score.hear import System

    settings = settings_of(options)
    fused = fused_of(options, settings)
    asked = (
        options["precision"],
        options["weights"],
        settings,
        fused,
        asked_of(options),
        options["tables"],
        options["whole"],
    )
    return [System(folder, at, *asked) for at, folder in enumerate(folders)]


def _name_files(options: dict[str, Any], shard: Shard) -> None:
    """A shard's result is always written; where the environment chose it, into files of its own."""
    if shard.count > 1 and options["output"] is None:
        options["output"] = Path(f"score.{shard.number}-of-{shard.count}.json")
        names = ["resume", "html"]
    else:
        names = ["output", "resume", "html"]
    options.update({name: shard.named(options[name]) for name in names if options[name] is not None})
    if shard.told and shard.count > 1 and verbosity() is not Verbosity.QUIET:
        click.echo(f"{shard.told}: this is shard {shard.number} of {shard.count}", err=True)


@contextmanager
def _kept(path: Path | None, about: dict[str, Any]) -> Iterator[Journal | None]:
    from mctc.score.journal import journal

    if path is None:
        yield None
        return
    with journal(path, about) as opened:
        yield opened


def _hear(tasks: Sequence[Task], journal: Journal | None, jobs: int) -> dict[tuple[int, str, int], Record]:
    """Records by their keys, those of before among them."""
    from mctc.score.work import heard

    records = {record.key: record for record in (journal.records if journal is not None else [])}
    left = [task for task in tasks if task.key not in records]
    if len(left) < len(tasks) and verbosity() is not Verbosity.QUIET:
        click.echo(f"{len(tasks) - len(left):,} of {len(tasks):,} were done before", err=True)
    with progress("scoring") as step:
        for number, record in enumerate(heard(left, jobs), 1):
            if journal is not None:
                journal.append(record)
            records[record.key] = record
            step(f"{number:,} of {len(left):,}, {record.id}")
    return records


def _put(result: Result, options: dict[str, Any]) -> None:
    from mctc.atomic import write_text
    from mctc.score.result import as_json

    if options["output"] is not None:
        write_text(options["output"], json.dumps(as_json(result), indent=1, ensure_ascii=False) + "\n")
    if options["html"] is not None:
        from mctc.score.page import as_page

        write_text(options["html"], as_page(result))
    if options["form"] == "json":
        click.echo(json.dumps(as_json(result), indent=2, ensure_ascii=False))
        return
    from mctc.score.report import lines

    for line in lines(result):
        click.echo(line)
