"""`mctc run`: a build over speech, or a package over arrays, on any machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mctc.audio import endings
from mctc.cli.columns import tell
from mctc.cli.options import PATH, arithmetic_option, plugin_option
from mctc.cli.recording import AUDIO, STANDARD_INPUT, Pcm, Recording, Source, expanded, listening, opened
from mctc.cli.run_arrays import run_over_arrays
from mctc.cli.search_options import (
    asked_of,
    attempts_of,
    decoder_options,
    scorers_asked,
    search_options,
    settings_of,
    window_options,
)
from mctc.cli.verbosity import Verbosity, verbosity
from mctc.diagnostics.errors import ExitCode, MctcError, UsageError

if TYPE_CHECKING:
    from mctc.cli.requests import TranscriptRequest
    from mctc.cli.run_utterance import Hear, Made
    from mctc.runtime.built import Built

FORMS = ("text", "json", "srt", "vtt", "ctm")
ONE_A_FILE = ("srt", "vtt")  # forms of one recording alone
SOUND = frozenset(endings.SOUND)
"""Endings of files of sound."""
ENCODINGS = ("s16", "s32", "f32")
ARRAYS = ("function", "state", "state_output")  # options of arrays alone


@click.command()
@click.argument("built", type=PATH, metavar="BUILD|PACKAGE")
@click.argument("heard", nargs=-1, type=AUDIO, metavar="[AUDIO]...")
@click.option("--audio", multiple=True, type=AUDIO, metavar="FILE", help="A recording, as an option. Repeatable.")
@click.option("--speech", is_flag=True, help="The recording that ships with mctc.")
@click.option("--mic", is_flag=True, help="The microphone, until Ctrl-C.")
@click.option(
    "--pcm", type=click.Choice(ENCODINGS),
    help="Standard input holds raw samples, little-endian: 16 or 32 bit whole numbers, or floats.",
)  # fmt: skip
@click.option("--rate", type=click.IntRange(1_000, 1_000_000), help="Of raw samples, in Hz; 16000 if left out.")
@click.option("--channels", type=click.IntRange(1, 64), help="Of raw samples; 1 if left out.")
@click.option(
    "--format", "form", type=click.Choice(FORMS),
    help="Text for people, JSON for tools, subtitles, or words with their times. Default: text.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The result as JSON: --format json.")
@click.option("--stats", is_flag=True, help="What it cost and how late it was, to standard error, or in the JSON.")
@search_options
@click.option(
    "--input", "inputs", multiple=True, metavar="[NAME=]X.npy", help="An input of a package's function. Repeatable."
)
@click.option("--function", metavar="NAME", help="Which function of a package; its default one if left out.")
@click.option("--state", type=PATH, metavar="S.npz", help="The states to start from; zeros if left out.")
@click.option(
    "--output", type=PATH, metavar="PATH",
    help="Where to write the transcript, of several recordings a folder; of arrays, Y.npz (npy for one).",
)  # fmt: skip
@click.option("--state-output", type=PATH, metavar="S.npz", help="Where to write the new states.")
@arithmetic_option
@click.option("--weights", type=PATH, metavar="FILE", help="The checkpoint of a torch build with trained weights.")
@click.option(
    "--latency", metavar="TIME",
    help="At which of the spec's chunks a build is called, such as 80ms; the first if left out.",
)  # fmt: skip
@click.option(
    "--faults", metavar="LIST",
    help="Tell whether known miscompiles would change the results: names with commas between, or all (docs/faults.md).",
)  # fmt: skip
@decoder_options
@window_options
@plugin_option
def run(built: Path, inputs: tuple[str, ...], form: str | None, as_json: bool, **options: Any) -> int:
    """Run a build over recordings, or a package over arrays.

    `mctc run build/mct_small talk.flac` streams audio (wav, flac, ...; a folder of such files; - for standard input)
    through log-mel frames, encoder steps and search, and prints what was said: on a terminal as it comes, words that
    may still change dimmed. Results of an utterance without time, and numbers of each frame, are printed as they are;
    sound is written to `--output FILE.wav`. `mctc run model.mlpackage --input x.npy` runs one function of any package;
    of a build's, entries that its spec rules out are refused. Both execute what was built itself: a Core ML program in
    numpy, .onnx files in onnxruntime, an .aimodel in the Core AI runtime, modules in torch.

    A build with an attention decoder takes recordings of at most one utterance, with `--timestamps` of any length; one
    that takes frames among its labels cuts a long recording where it is quiet. What it starts from and ends with is
    what its spec says, or `--start` and `--end`: numbers, names such as `<|de|>`, or texts of tokens. Where the decoder
    takes rows of a table and not ids, `--table` names it.
    """
    if as_json and form not in (None, "json"):
        raise UsageError(f"--json and --format {form} exclude each other")
    given = _given(options, bool(inputs))
    pcm = _pcm(options, given)
    if (faults := options.pop("faults")) is not None:
        return _compared(built, faults, inputs, given, options, as_json=as_json or form == "json")
    if inputs:
        arrays = {key: options[key] for key in (*ARRAYS, "output", "precision")}
        return run_over_arrays(built, inputs, as_json=as_json or form == "json", **arrays)
    from mctc.cli.requests import TranscriptRequest
    from mctc.driver.contents import blamed
    from mctc.runtime.built import open_built

    wanted = TranscriptRequest(
        "json" if as_json else form or "text", options["stats"], len(given) > 1, options["output"]
    )
    _check_places(given, wanted)
    with blamed(built):
        hear = _hearer(_at(open_built(built), options["latency"]), wanted, options)
        return _over_all(given, pcm, hear, wanted)


def _at(built: Built, latency: str | None) -> Built:
    """The build at the chunk that is asked for. Raises OptionError, and BuildError for a chunk that it hasn't."""
    if latency is None:
        return built
    from mctc.driver.chunk import parse_chunk

    return built.at(parse_chunk(latency))


def _compared(
    built: Path, faults: str, inputs: tuple[str, ...], given: Sequence[Any], options: dict[str, Any], *, as_json: bool
) -> int:
    """`--faults`: the run, and what faults would change of it. Raises UsageError for what can't be run twice."""
    from mctc.cli.run_faults import run_with_faults

    if options["mic"] or STANDARD_INPUT in given:
        raise UsageError("--faults runs more than once: it takes recordings that are files, --speech or --input")

    def over_arrays(precision: str | None) -> int:
        arrays = {key: options[key] for key in (*ARRAYS, "output")}
        return run_over_arrays(built, inputs, as_json=False, precision=precision, **arrays)

    def over_recordings(precision: str | None) -> str:
        from mctc.cli.requests import TranscriptRequest
        from mctc.runtime.built import open_built

        opened_build = _at(open_built(built), options["latency"])
        if not opened_build.target.as_engine:
            name = opened_build.target.name
            raise UsageError(f"--faults is about Core ML programs, and {built} is a build for target {name}")
        hear = _hearer(opened_build, TranscriptRequest(), {**options, "precision": precision})
        texts = []
        for each in given:
            with opened(each, None) as source:
                texts.append(_told(hear(source, TranscriptRequest(several=len(given) > 1, output=Path(source.name)))))
        return "".join(texts)

    run_as = over_arrays if inputs else over_recordings
    return run_with_faults(faults, run_as, options["precision"], _components(built), as_json=as_json)


def _told(made: Made) -> str:
    """What was made, so that two runs can be compared."""
    return made if isinstance(made, str) else "".join(f"{name} {wav.hex()}\n" for name, wav in made.items())


def _components(built: Path) -> dict[str, str]:
    """What the spec calls the functions of a package or a build, where no two have one name."""
    from mctc.linter.coreml.places import components_of

    packages = [built] if not (built / "manifest.json").is_file() else sorted(built.glob("*.mlpackage"))
    found = [components_of(package) for package in packages]
    names = [name for each in found for name in each]
    return {} if len(set(names)) < len(names) else {name: each[name] for each in found for name in each}


def _given(options: dict[str, Any], arrays: bool) -> list[Any]:
    """What to run over. Raises UsageError for nothing, and for more than one kind of it."""
    kinds = [options.pop("heard"), options.pop("audio"), options["speech"], options["mic"], arrays]
    if sum(map(bool, kinds)) != 1:
        raise UsageError(
            "what shall it run over? recordings, --speech, --mic or --input is needed, and one of them alone",
            hint="mctc run BUILD talk.flac; mctc run model.mlpackage --input x.npy; --speech for the bundled recording",
        )
    if options["mic"]:
        return [listening()]
    if options["speech"]:
        from mctc.audio import bundled_recording

        return [bundled_recording()]
    return expanded([*kinds[0], *kinds[1]])


def _check_places(given: Sequence[Any], wanted: TranscriptRequest) -> None:
    """Raises UsageError where transcripts of several recordings would end up in one place."""
    if not wanted.several:
        return
    if wanted.output is None and wanted.form in ONE_A_FILE:
        raise UsageError(f"{wanted.form} of several recordings is a file each: --output says in which folder")
    stems: dict[str, Any] = {}
    for each in given if wanted.output is not None else ():
        stem = each.stem if isinstance(each, Path) else str(each)
        if stem in stems:
            raise UsageError(f"{stems[stem]} and {each} would be written into one file", hint="take one of them alone")
        stems[stem] = each


def _check_ending(wanted: TranscriptRequest, sound_rate: int | None) -> None:
    """Raises UsageError where a file would hold something else than its name says."""
    ending = "" if wanted.several or wanted.output is None else wanted.output.suffix.lower()
    if sound_rate is None and ending in SOUND:
        hint = "numbers and words are text: --output FILE.txt, or .json with --json"
        raise UsageError(f"this build makes no sound to write into {wanted.output}", hint=hint)
    if sound_rate is not None and ending in SOUND - {".wav"}:
        raise UsageError(f"sound is written as WAV, not into {wanted.output}", hint="--output FILE.wav")
    if wanted.form != "text" and ending in SOUND:
        hint = f"--output FILE.{wanted.form}"
        raise UsageError(f"{wanted.form} is no sound to write into {wanted.output}", hint=hint)


def _pcm(options: dict[str, Any], given: Sequence[Any]) -> Pcm | None:
    """How raw samples are written, where there are such. Raises UsageError where nothing is read from a pipe."""
    encoding, rate, channels = (options[name] for name in ("pcm", "rate", "channels"))
    if encoding is None and rate is None and channels is None:
        return None
    if STANDARD_INPUT not in given or encoding is None:
        hint = "mctc run BUILD - --pcm s16 --rate 16000 --channels 1"
        raise UsageError("--pcm, --rate and --channels say how raw samples on standard input are written", hint=hint)
    return Pcm(encoding, rate or 16_000, channels or 1)


def _hearer(built: Built, wanted: TranscriptRequest, options: dict[str, Any]) -> Hear:
    """What makes text of a recording, for the kind of build that it is."""
    from mctc.cli.run_utterance import framed, pooled, utterance
    from mctc.runtime.encoder_decoder import decoder_of
    from mctc.runtime.framed import framing, sound_rate
    from mctc.runtime.pooled import pooling
    from mctc.runtime.stream import front_end_of

    front_end_of(built)  # or else the refusal would be of what follows frames that can't be made
    _check_ending(wanted, None if pooling(built) is not None else sound_rate(built))
    precision, weights = options["precision"], options["weights"]
    if pooling(built) is not None:
        return pooled(built, precision, weights)
    if framing(built) is not None:
        return framed(built, precision, weights)
    if decoder_of(built) is not None:
        asked = asked_of(options, times=options["timestamps"], attempts=attempts_of(options))
        return utterance(built, asked, tables=options["tables"], precision=precision, weights=weights)
    from mctc.cli.run_speech import Listener
    from mctc.runtime.searched import recogniser

    model, settings = recogniser(built, precision, weights), settings_of(options)
    return Listener(built, model, settings, precision, scorers_asked(options, model, settings)).hear


def _over_all(given: Sequence[Any], pcm: Pcm | None, hear: Hear, wanted: TranscriptRequest) -> int:
    """Hears one recording after another. What is wrong with one of several hides no other; the exit code says so."""
    from mctc.runtime.fed import FedError

    code = ExitCode.OK
    for each in given:
        try:
            with opened(each, pcm) as source:
                _warn(source)
                _put(hear(source, wanted), source, wanted)
        except UsageError:
            raise
        except MctcError as error:
            if isinstance(error, FedError):  # it names an input; other errors name the recording
                error.message = f"{source.name}: {error.message}"
            if len(given) == 1:
                raise
            tell(error.render())
            code = ExitCode.FAILED
    return code


def _warn(source: Source) -> None:
    """Tells of a file that is cut short; what is there is heard."""
    if not isinstance(source, Recording) or verbosity() is Verbosity.QUIET:
        return
    from mctc.audio.sound import cut_short

    if told := cut_short(source.path):
        tell(f"warning: {source.name}: it is cut short: {told}")


def _put(made: Made, source: Source, wanted: TranscriptRequest) -> None:
    """Prints a transcript, or writes it: of several recordings, each into a file of its name in a folder; of several
    sounds, each into a file with the result's name behind that of all."""
    if wanted.output is None:
        click.echo(made, nl=False)
        return
    from mctc.atomic import whole_file

    path = wanted.output
    if wanted.several:
        path.mkdir(exist_ok=True)
        ending = "wav" if not isinstance(made, str) else "txt" if wanted.form == "text" else wanted.form
        path = path / f"{Path(source.name).stem}.{ending}"
    files = {"": made.encode()} if isinstance(made, str) else made
    for name, content in files.items():
        own = path.with_name(f"{path.stem}-{name}{path.suffix}") if len(files) > 1 else path
        with whole_file(own) as file:
            file.write(content)
        if len(files) > 1 and verbosity() is not Verbosity.QUIET:
            click.echo(f"{name}: {own}", err=True)
