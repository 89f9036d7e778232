"""`mctc run`: a build over speech, or a package over arrays, in numpy, on any machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mctc.cli.options import PATH, plugin_option
from mctc.cli.recording import AUDIO, Recording, opened
from mctc.cli.terminal import lines_may_move
from mctc.cli.verbosity import Verbosity, verbosity
from mctc.diagnostics.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mctc.runtime.speech import Transcript

SHOWN_LABELS = 5
"""Of a classifier, the likeliest labels."""


@click.command()
@click.argument("built", type=PATH, metavar="BUILD|PACKAGE")
@click.argument("heard", required=False, type=AUDIO, metavar="[AUDIO]")
@click.option("--audio", type=AUDIO, metavar="FILE", help="The recording, as an option; - for standard input.")
@click.option("--speech", is_flag=True, help="Stream the recording that ships with mctc.")
@click.option("--max-symbols", default=5, show_default=True, type=click.IntRange(1), help="Most tokens at one frame.")
@click.option(
    "--input", "inputs", multiple=True, metavar="[NAME=]X.npy", help="An input of a package's function. Repeatable."
)
@click.option("--function", metavar="NAME", help="Which function of a package; its default one if left out.")
@click.option("--state", type=PATH, metavar="S.npz", help="The states to start from; zeros if left out.")
@click.option("--output", type=PATH, metavar="Y.npz", help="Where to write the outputs (npz, or npy for one).")
@click.option("--state-output", type=PATH, metavar="S.npz", help="Where to write the new states.")
@click.option(
    "--precision", type=click.Choice(["fp16", "fp32"]),
    help="That of the build if left out. A Core ML program in fp16 is rounded after every operation, in fp32 never.",
)  # fmt: skip
@click.option("--weights", type=PATH, metavar="FILE", help="The checkpoint of a torch build with trained weights.")
@click.option("--start", multiple=True, type=int, metavar="ID", help="A token that decoding starts from. Repeatable.")
@click.option("--end", type=int, metavar="ID", help="The token that ends an utterance.")
@click.option(
    "--max-tokens", default=200, show_default=True, type=click.IntRange(1), help="Most tokens of an utterance."
)
@click.option(
    "--table", "tables", multiple=True, metavar="INPUT=FILE",
    help="The rows that a decoder's input takes: FILE.npy or WEIGHTS.safetensors:NAME. Repeatable.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
@plugin_option
def run(built: Path, heard: Any, audio: Any, speech: bool, inputs: tuple[str, ...], **options: Any) -> int:
    """Run a build over a recording, or a package over arrays.

    `mctc run build/mct_small talk.flac` streams audio (wav, flac, ...; - for standard input) through log-mel frames,
    encoder steps and greedy search: a transducer's, or CTC's best path; results of an utterance without time are
    printed as they are. `mctc run model.mlpackage --input x.npy` runs one function of any package; of a build's,
    entries that its spec rules out are refused. Both execute what was built itself: a Core ML program in numpy, .onnx
    files in onnxruntime, an .aimodel in the Core AI runtime, modules in torch.

    A build with an attention decoder takes a recording of at most one utterance: `--start`, `--end` and, where the
    decoder takes rows of a table and not ids, `--table` say what its search needs.
    """
    given = [each for each in (heard, audio) if each is not None]
    if len(given) + speech + bool(inputs) != 1:
        raise UsageError(
            "what shall it run over? one recording, --speech or --input is needed",
            hint="mctc run BUILD talk.flac; --speech streams the recording that ships with mctc",
        )
    if inputs:
        return _arrays(built, inputs, **options)
    if speech:
        from mctc.audio import bundled_recording

        given = [bundled_recording()]
    asked = {key: options[key] for key in ("precision", "as_json", "weights")}
    from mctc.build.contents import blamed
    from mctc.runtime.built import open_built
    from mctc.runtime.encoder_decoder import decoder_of
    from mctc.runtime.pooled import pooling

    with blamed(built), opened(given[0]) as recording:
        if pooling(open_built(built)) is not None:
            return _pooled(built, recording, **asked)
        if decoder_of(open_built(built)) is None:
            return _speech(built, recording, max_symbols=options["max_symbols"], **asked)
        return _utterance(
            built, recording, *(options[key] for key in ("start", "end", "max_tokens", "tables")), **asked
        )


def _utterance(
    folder: Path, audio: Recording, start: tuple[int, ...], end: int | None, longest: int, tables: tuple[str, ...], *,
    precision: str | None, as_json: bool, weights: Path | None,
) -> int:  # fmt: skip
    from mctc.cli.run_report import utterance_lines, utterance_record
    from mctc.runtime.built import open_built
    from mctc.runtime.utterance import Search, read_tables, transcribe_utterance

    if not start or end is None:
        raise UsageError("this build has a decoder: --start and --end say between which tokens it writes")
    built = open_built(folder)
    found = transcribe_utterance(
        built, audio.path, Search(start, end, longest), read_tables(tables), precision, weights
    )
    if as_json:
        import json

        click.echo(json.dumps(utterance_record(built, audio.name, precision, found), indent=2))
    else:
        for line in utterance_lines(built, audio.name, precision, found):
            click.echo(line)
    return ExitCode.OK


def _pooled(folder: Path, audio: Recording, *, precision: str | None, as_json: bool, weights: Path | None) -> int:
    from mctc.cli.run_report import pooled_lines, pooled_record
    from mctc.runtime.built import open_built
    from mctc.runtime.pooled import pool

    built = open_built(folder)
    found = pool(built, audio.path, precision, weights)
    if as_json:
        import json

        click.echo(json.dumps(pooled_record(built, audio.name, precision, found), indent=2))
    else:
        for line in pooled_lines(built, audio.name, precision, found):
            click.echo(line)
    return ExitCode.OK


def _speech(
    folder: Path, audio: Recording, *, precision: str | None, max_symbols: int, as_json: bool, weights: Path | None
) -> int:
    from mctc.audio import probe_audio
    from mctc.cli.run_report import as_record, lines
    from mctc.runtime.built import open_built
    from mctc.runtime.speech import transcribe

    built = open_built(folder)
    seconds = probe_audio(audio.path).seconds
    with _progress(seconds, as_json) as on_chunk:
        transcript = transcribe(built, audio.path, precision, max_symbols, on_chunk, weights)
    if as_json:
        import json

        click.echo(json.dumps(as_record(built, audio.name, precision, transcript), indent=2))
    else:
        for line in lines(built, audio.name, precision, transcript):
            click.echo(line)
    return ExitCode.OK


@contextmanager
def _progress(seconds: float, as_json: bool) -> Iterator[Callable[[Transcript], None] | None]:
    """A bar over the seconds of audio, where the output is a terminal."""
    if as_json or verbosity() is Verbosity.QUIET or not lines_may_move(sys.stderr):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("[bold]{task.completed:5.1f} s"),
        BarColumn(),
        TextColumn("{task.fields[tokens]} tokens"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("", total=seconds, tokens=0)
        yield lambda t: bar.update(task, completed=t.audio_s, tokens=len(t.emissions))


def _arrays(
    package: Path, inputs: tuple[str, ...], *, function: str | None, state: Path | None, output: Path | None,
    state_output: Path | None, precision: Any, as_json: bool, **_: Any,
) -> int:  # fmt: skip
    from mctc.runtime.arrays import run_arrays, write_arrays

    outputs, states, labels = run_arrays(package, inputs, function=function, state=state, precision=precision)
    if output is not None:
        write_arrays(output, outputs)
    if state_output is not None:
        write_arrays(state_output, states)
    if as_json:
        import json

        click.echo(json.dumps({name: array.tolist() for name, array in outputs.items()}))
        return ExitCode.OK
    for name, array in outputs.items():
        click.echo(f"{name}: {_summary(array)}")
        for place in (-array).argsort(kind="stable")[:SHOWN_LABELS] if name in labels else ():
            click.echo(f"  {array[place]:.6g}  {labels[name][place]}")
    for name, array in states.items():
        click.echo(f"state {name}: {list(array.shape)}")
    return ExitCode.OK


def _summary(array: Any) -> str:
    """Type, shape and spread; a label as it is."""
    if not array.shape and array.dtype.kind in "iuU":
        return str(array)
    spread = f", {array.min():.6g} to {array.max():.6g}, mean {array.mean():.6g}" if array.size else ""
    return f"{array.dtype} {list(array.shape)}{spread}"
