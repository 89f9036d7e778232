"""`mctc build`: from a spec to a folder that can be shipped."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click

from mctc.cli.options import PATH, SPEC, defines_option, model_option, names_of, plugin_option
from mctc.cli.pass_option import Written, pass_option, scan_option, told
from mctc.cli.progress import Step, progress
from mctc.cli.verbosity import Verbosity, say, verbosity
from mctc.diagnostics.errors import ExitCode

if TYPE_CHECKING:
    from mctc.driver import BuildResult
    from mctc.driver.budget import Budget
    from mctc.ir.program import Program
    from mctc.language.read import Spec


def _budgets(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> tuple[Budget, ...]:
    if not texts:
        return ()
    from mctc.driver.budget import parse_budget

    return tuple(map(parse_budget, texts))


def _chunk(_: click.Context, __: click.Parameter, text: str | None) -> Fraction | int | None:
    if text is None:
        return None
    from mctc.driver.chunk import parse_chunk

    return parse_chunk(text)


@click.command()
@click.argument("file", type=SPEC)
@click.option(
    "--target", default="ane", show_default=True, metavar="NAME", shell_complete=names_of("targets"),
    help="What to build for.",
)  # fmt: skip
@click.option(
    "--with", "packaged", multiple=True, metavar="NAME", shell_complete=names_of("targets"),
    help="Package the build for apps besides: swift (docs/swift.md). Repeatable.",
)  # fmt: skip
@click.option("-o", "--output", type=PATH, metavar="FOLDER", help="Where to write; build/MODEL if left out.")
@defines_option
@model_option
@click.option("--seed", default=0, show_default=True, help="The initial weights, where no --weights are given.")
@click.option("--weights", type=PATH, metavar="FILE.safetensors", help="Trained weights, bound by name.")
@click.option(
    "--tokens", type=PATH, metavar="FILE",
    help="What the classes stand for: a tokenizer.json, a SentencePiece .model, ... (docs/tokens.md).",
)  # fmt: skip
@click.option(
    "--chunk",
    callback=_chunk,
    metavar="TIME",
    help="Audio a call, such as 320ms or 32 (frames); the spec's if left out.",
)
@click.option(
    "--state",
    type=click.Choice(["packed", "separate", "io"]),
    help="One state tensor a function (ane's default), each state its own, or states as inputs and outputs.",
)
@click.option(
    "--layout",
    type=click.Choice(["single", "separate"]),
    help="One package of all functions (ane's default), or one for each.",
)
@click.option(
    "--split", metavar="N|layers", help="Cut the costliest function into N packages, or one a layer (target ane)."
)
@click.option(
    "--precision", type=click.Choice(["fp16", "fp32"]), help="What is computed in; the target's usual one if left out."
)
@click.option("--device", metavar="NAME", help="A chip or family to allow for; the oldest supported if left out.")
@pass_option
@scan_option
@click.option(
    "--without", multiple=True, metavar="PASS", shell_complete=names_of("passes"), help="Leave a pass out. Repeatable."
)
@click.option(
    "--print-after", "print_after", multiple=True, metavar="PASS", shell_complete=names_of("passes"),
    help="Print the program after it. Repeatable.",
)  # fmt: skip
@click.option("--verify-each", is_flag=True, help="Check the promise of every pass by evaluation.")
@click.option(
    "--budget", "budgets", multiple=True, callback=_budgets, metavar="WHAT=LIMIT",
    help="Fail if predicted to cost more on the device: compile=10s, disk=2GB, memory, first-call, call. Repeatable.",
)  # fmt: skip
@click.option("--allow-errors", is_flag=True, help="Finish although `mctc lint` finds errors in what was built.")
@click.option(
    "--force", is_flag=True, help="Replace a folder that mctc did not write, and files that were changed since."
)
@plugin_option
def build(
    file: Spec, output: Path | None, defines: dict[str, Any], print_after: tuple[str, ...], passes: list[Written],
    scan: str | None, **options: Any,
) -> int:  # fmt: skip
    """Build a spec for a target.

    FILE is a spec, or - for standard input.

    The folder is written whole or not at all, and only after the package was read back from disk and agreed with its
    program. What no build wrote into it stays; a build that would replace a file that was changed since stops.
    """
    from mctc.cli.process import no_cycle_search

    no_cycle_search()
    from mctc.driver import BuildOptions, build
    from mctc.driver.compile import check_pass_names

    settings = BuildOptions(defines=defines, passes=told(passes, scan), **options)
    check_pass_names(print_after, settings)
    with progress(f"building {file}") as step:
        result = build(file, output, settings, watch=_watch(print_after, step), told=step)
    if result.compiled.warnings and verbosity() is not Verbosity.QUIET:
        from mctc.cli.columns import tell
        from mctc.cli.terminal import color_wanted
        from mctc.diagnostics.render import render_all

        tell(render_all(result.compiled.warnings, color=color_wanted(sys.stderr)))
    for line in summary(result):
        say(line)
    return ExitCode.OK


def _watch(names: tuple[str, ...], step: Step) -> Callable[[str, Program], None]:
    """Tells each pass, and prints the program after those that are named."""
    from mctc.ir.printer import print_program

    def watch(name: str, program: Program) -> None:
        step(f"{name}: {sum(len(function.ops) for function in program.functions.values())} ops")
        if name in names:
            click.echo(f"# after {name}")
            click.echo(print_program(program), nl=False)

    return watch


def summary(result: BuildResult) -> list[str]:
    """What was built, in a few lines: sizes, operations, states, latency, and how it was proven."""
    from mctc.driver.compiled import DERIVE
    from mctc.driver.contents import added, listing
    from mctc.driver.manifest import NAME

    manifest = result.manifest
    files = [result.folder / name for name in manifest["files"]]
    size = sum(path.stat().st_size for path in files if path.is_file())
    lines = [f"{result.folder}: {manifest['model']}, {_count(manifest['parameters'])} parameters, {_bytes(size)}"]
    for name, function in manifest["functions"].items():
        states = len(function["states"])
        latencies = [o["latency_ms"] for o in function["outputs"] if o.get("latency_ms") is not None]
        late = f", latency {max(latencies):g} ms" if latencies and function["streams_over"] == "time" else ""
        lines.append(f"  {name:12} {function['operations']} operations, {states} state{'s' * (states != 1)}{late}")
    for name, why in ((each["where"], each["why"]) for each in manifest["explanations"] if each["pass"] == DERIVE):
        lines += wrap(f"{name:12} no step: {why}", 80, initial_indent="  ", subsequent_indent=" " * 15)
    if others := _unwritten(result):
        told = f"target {manifest['target']} takes the first chunk of the spec alone: nothing is written for {others}"
        lines += wrap(f"warning: {told}", 80, initial_indent="  ", subsequent_indent=" " * 4)
    if errors := [entry["error"] for entry in manifest["verification"] if entry["error"] is not None]:
        worst = max(errors)
        explained = any(entry.get("explained") for entry in manifest["verification"])
        why = ", which the rounding of its numbers explains" if explained else ""
        how = " op by op" if any(entry.get("op_by_op") for entry in manifest["verification"]) else ""
        lines.append(f"  read back, type-checked and evaluated{how}: within {worst:.1e} of the program{why}")
        warnings = [entry[key] for key in ("undefined", "beyond") for entry in manifest["verification"] if key in entry]
        for told in dict.fromkeys(warnings):
            lines += wrap(f"warning: {told}", 80, initial_indent="  ", subsequent_indent=" " * 4)
    for part in manifest["weights"].get("left_out", []):
        lines.append(f"  names in {manifest['weights']['file']} have `{part}`, which was left out")
    if unused := manifest["weights"].get("unused"):
        lines.append(f"  for training alone, so in no artifact: {listing(unused)}")
    ports = [port for function in manifest["functions"].values() for port in function["inputs"]]
    tables = {port[key] for port in ports for key in ("embedding_table", "row_of") if key in port}
    lines += [f"  the app looks up rows of {result.folder / table} (docs/manifest.md)" for table in sorted(tables)]
    lines += [f"  {line}" for line in told_by(result)]
    missing = {name: entry["missing"] for name, entry in manifest["extra_targets"].items() if "missing" in entry}
    lines += [f"  without the files of target {name}: {why}" for name, why in missing.items()]
    if (result.folder / "training").is_dir():
        lines.append(f"  to train: {result.folder}/training, PyTorch modules that need torch alone")
    # Of what Python keeps beside modules that were imported nothing is told.
    if kept := [
        name for name in added(result.folder, {*manifest["files"], NAME}) if "__pycache__" not in name.split("/")
    ]:
        lines.append(f"  kept, though no build wrote it: {listing(kept)}")
    if "seed" in manifest["weights"]:
        lines.append(
            f"  untrained: initial weights of seed {manifest['weights']['seed']} (--weights binds trained ones)"
        )
    return lines


def _unwritten(result: BuildResult) -> str:
    """The chunks that the spec lists behind the first, of a build that has functions for the first alone unasked."""
    from mctc.driver.chunk import chunk_frames, latencies

    program, stream = result.compiled.whole, result.manifest["stream"]
    others = latencies(program, None) if stream and "latencies" not in stream else ()
    if not others or stream["chunk_frames"] != chunk_frames(program, None):
        return ""
    frames = stream["chunk_frames"]
    told = [f"{n} frames" if stream["chunk_ms"] is None else f"{n * stream['chunk_ms'] / frames:g} ms" for n in others]
    return " and ".join([", ".join(told[:-1]), told[-1]] if len(told) > 1 else told)


def told_by(result: BuildResult) -> Sequence[str]:
    """What the target says of what it wrote. Raises PluginError for a plugin's that says no lines."""
    from mctc.driver.returned import returned_by
    from mctc.driver.target import target_named

    target = target_named(result.manifest["target"])
    return returned_by(target, "summary", target.summary(result.folder))


def _count(number: int) -> str:
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return str(number)


def _bytes(number: int) -> str:
    return f"{number / 10**6:.1f} MB" if number >= 10**6 else f"{number / 10**3:.1f} kB"
