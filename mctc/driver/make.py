"""`build`: spec in, folder out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shutil import disk_usage
from typing import TYPE_CHECKING, Any

from mctc.diagnostics.errors import MctcError
from mctc.diagnostics.source import FileRead
from mctc.driver import front_end
from mctc.driver.compiled import Compiled, Watch
from mctc.driver.decoder import given, write_rows
from mctc.driver.folder import check_replaceable, replaced
from mctc.driver.load import load_program
from mctc.driver.manifest import (
    ORIGINS,
    PROGRAM,
    WHOLE,
    hashes,
    manifest,
    read_manifest,
    sha256,
    write_json,
    write_manifest,
)  # fmt: skip
from mctc.driver.options import BuildError, BuildOptions, OptionError
from mctc.driver.refusal import refuse as refuse_program
from mctc.driver.returned import returned_by
from mctc.driver.sources import digest, source_record, texts, write_sources
from mctc.driver.tables import asked_again
from mctc.driver.target import Agreement, Target, Written, compile_for, compile_whole_for, target_named
from mctc.driver.tokens import tokens_of
from mctc.ir.islands import computes_wide
from mctc.ir.printer import print_program
from mctc.ir.program import Program
from mctc.language.read import Spec
from mctc.plugins import PluginError
from mctc.records import dataclass
from mctc.tokens.names import METADATA
from mctc.version import __version__
from mctc.weights import Weights

if TYPE_CHECKING:
    from mctc.tokens.table import Tokens

__all__ = ["BuildResult", "build", "compile_for", "compile_whole_for", "target_named", "write_build"]

CACHED = 64_000_000  # parameters up to which values are computed once and kept: below half a gigabyte

SHOWN = 12  # lines of what is wrong with a build

LEAST_BITS = 2  # of a stored number: a palette of four


@dataclass(frozen=True)
class BuildResult:
    """A finished build: the folder, its manifest, and the programs it was made from."""

    folder: Path
    manifest: Mapping[str, Any]
    compiled: Compiled


Told = Callable[[str], None]
"""Is told what is done, step by step."""


def nobody(step: str) -> None:
    """Takes no notice of a step."""


def build(
    spec: Spec,
    out: Path | None = None,
    options: BuildOptions | None = None,
    *,
    watch: Watch | None = None,
    told: Told = nobody,
) -> BuildResult:
    """Builds a spec into folder `out` (build/ and the model's name when left out).

    The folder is replaced whole or, when anything goes wrong, left as it was.
    `watch` sees the program after every pass, `told` hears of every step. Raises MctcError: what is wrong with the
    spec, the options or the weights, or a package that does not agree with its program.
    """
    options = options or BuildOptions()
    target = target_named(options.target)
    if options.split is not None and not target.splits:
        raise OptionError(f"target {target.name} can't be split", hint="leave --split out")
    options = options.resolved(target.forms)
    refuse_budgets(options, target)
    read: list[FileRead] = []
    told(f"reading {spec}")
    program = load_program(spec, options.model, dict(options.defines), read.append)
    out = Path("build") / program.name if out is None else out
    inputs = [path for path in (spec, options.weights, options.tokens) if isinstance(path, Path)]
    check_replaceable(out, force=options.force, inputs=inputs)
    tokens = tokens_of(program, options.tokens)
    check_room(program, out)
    told("compiling")
    compiled = compile_for(target, program, options, watch)
    more = texts(read) if target.carries_source else {}
    return write_build(compiled, out, options, target, source_record(read), more, read, told, tokens)


def write_build(
    compiled: Compiled,
    out: Path,
    options: BuildOptions,
    target: Target,
    source: Mapping[str, Any],
    more: Mapping[str, str] | None = None,
    read: Sequence[FileRead] = (),
    told: Told = nobody,
    tokens: Tokens | None = None,
    reads_back: bool = True,
) -> BuildResult:
    """Writes, reads back and compares; then puts the folder in place. Raises MctcError and leaves `out` as it was.

    more: metadata for the artifacts, besides the version, the model's name and the hash of its source.
    read: the files of the spec, which the folder keeps copies of. tokens: of its vocabulary, where known.
    reads_back: False for who proves the artifacts by more than that.
    """
    program = compiled.deployed
    refuse_program(target.refuses(compiled, options), target.name)
    weights, origin = _weights(program, options, shared=target.requirements.whole)
    metadata = {
        "mctc.version": __version__,
        "mctc.model": program.name,
        "mctc.source_sha256": digest(source["files"].items()),
        **(more or {}),
        **front_end.metadata(compiled),
        **({} if tokens is None else {METADATA: _table(tokens)}),
    }
    with replaced(out, force=options.force) as folder:
        decoder = given(compiled.whole)
        weights.spool(folder, asked_again(program, decoder.table))
        told(f"writing for {options.target}")
        written = returned_by(target, "write", target.write(compiled, weights, folder, options, metadata))
        if missing := program.functions.keys() - written.interfaces.keys():
            raise PluginError(f"target `{target.name}` wrote no interface of {', '.join(sorted(missing))}")
        agreements = _read_back(target, compiled, weights, folder, options, written, told) if reads_back else []
        told(f"writing for other targets: {', '.join(target.extra_targets) or 'none'}")
        extra = {name: _extra(name, compiled, weights, folder, options, metadata) for name in target.extra_targets}
        write_sources(read, folder)
        if tokens is not None:
            from mctc.tokens.stored import write_tokens

            write_tokens(tokens, folder)
        write_rows(decoder, program, weights, folder)
        (folder / PROGRAM).write_text(print_program(program, locations=True), encoding="utf-8")
        (folder / WHOLE).write_text(print_program(compiled.reference, locations=True), encoding="utf-8")
        write_json(folder / ORIGINS, origins(program, written))
        told(f"asking {target.judge}")
        refuse(returned_by(target, "report", target.report(compiled, folder, options, written)), options, target)
        content = manifest(compiled, options, written, agreements, source, origin, folder, extra, tokens)
        write_manifest(folder, content)
        if packaged := _packaged(target, folder, options, told):
            every = {**extra, **packaged}
            write_manifest(folder, {**content, "extra_targets": every, "files": hashes(folder)})
        described = read_manifest(folder)
        weights.spool(None)
    return BuildResult(out, described, compiled)


def _table(tokens: Tokens) -> str:
    from mctc.tokens.stored import as_json

    return as_json(tokens)


def _read_back(
    target: Target, compiled: Compiled, weights: Weights, folder: Path, options: BuildOptions, written: Written,
    told: Told,
) -> list[Agreement]:  # fmt: skip
    told("reading back and evaluating")
    return returned_by(target, "check", target.check(compiled, weights, folder, options, written))


def _packaged(target: Target, folder: Path, options: BuildOptions, told: Told) -> dict[str, Any]:
    """Packages a finished build for apps, as its target does unasked and the options ask of others."""
    names = [target.name] if target.packages else []
    names += [name for name in options.packaged if name not in names]
    written = {}
    for name in names:
        told(f"packaging for {name}")
        packager = target if name == target.name else target_named(name)
        written[name] = {"artifacts": list(packager.package(folder))}
    return written


def _extra(
    name: str, compiled: Compiled, weights: Weights, folder: Path, options: BuildOptions, metadata: Mapping[str, str]
) -> Mapping[str, Any]:
    """Writes what another target adds to a build. What it can't write is left out, and the manifest says why."""
    target = target_named(name)
    try:
        refuse_program(target.refuses(compiled, options), name)
        written = target.write(compiled, weights, folder, options, metadata)
    except MctcError as error:
        return {"missing": str(error)}
    target.check(compiled, weights, folder, options, written)
    return {"artifacts": list(written.artifacts)}


def origins(program: Program, written: Written) -> dict[str, dict[str, Any]]:
    """For every operation that was written: the position of its op in the program, its place in the spec (null for one
    that the compiler made), its instance path, and whether the spec keeps it in fp32, where it does."""

    def told(function: str, index: int) -> dict[str, Any]:
        op = program.functions[function].ops[index]
        place = str(op.origin.location) if op.origin.location is not None else None
        wide = {"fp32": True} if computes_wide(program, op) else {}
        return {"op": index, "place": place, "instance": op.origin.path, **wide}

    return {
        function: {name: told(function, index) for name, index in names.items()}
        for function, names in written.origins.items()
    }


def refuse(errors: Sequence[str], options: BuildOptions, target: Target) -> None:
    """Raises BuildError for what is wrong with the artifacts on the device, unless the options allow it."""
    if errors and not options.allow_errors:
        more = [f"and {len(errors) - SHOWN} more"] if len(errors) > SHOWN else []
        listed = "".join(f"\n  {line}" for line in [*errors[:SHOWN], *more])
        count = f"{len(errors)} error{'s' * (len(errors) != 1)}"
        raise BuildError(
            f"{target.judge} finds {count} in what was built, so nothing was written:{listed}",
            hint=f"change the spec, or name the --device that is meant; --allow-errors writes {target.verdict} with it",
        )


def refuse_budgets(options: BuildOptions, target: Target) -> None:
    """Raises OptionError for a budget of what the target doesn't predict."""
    for budget in options.budgets:
        if budget.quantity not in target.budgets:
            known = f"it predicts {', '.join(target.budgets)}" if target.budgets else "it predicts no cost"
            raise OptionError(f"target {target.name} can't be held to a budget of {budget.quantity}", hint=known)


def check_room(program: Program, out: Path) -> None:
    """Raises BuildError when the disk that `out` is on can't hold the weights however they are stored."""
    needed = sum(parameter.type.size for parameter in program.parameters.values()) * LEAST_BITS // 8
    place = next(folder for folder in out.absolute().parents if folder.exists())
    free = disk_usage(place).free
    if needed > free:
        raise BuildError(
            f"the weights of {program.name} take {needed / 1e9:,.1f} GB or more, {place} has {free / 1e9:,.1f} GB left",
            hint="a smaller model, or another place with -o",
        )


def _weights(program: Program, options: BuildOptions, *, shared: bool) -> tuple[Weights, dict[str, Any]]:
    count = sum(type_.size for type_, _ in program.sources.values())
    cache = count <= CACHED
    if options.weights is not None:
        weights = Weights.load(program, options.weights, cache=cache)
        origin: dict[str, Any] = {"file": options.weights.name, "sha256": sha256(options.weights)}
        told = {"left_out": list(weights.left_out), "unused": list(weights.unused)}
        return weights, origin | {key: names for key, names in told.items() if names}
    return Weights(program.sources, options.seed, cache=cache, shared=shared), {"seed": options.seed}
