"""manifest.json: what a built folder says about itself. The schema is described in docs/manifest.md.

Nothing in it depends on when or where it was built: two builds of the same input give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mctc.driver.form import departures, renamed
from mctc.driver.indented_json import indented
from mctc.driver.options import BuildError, BuildOptions
from mctc.driver.reading import AGAIN, read_json
from mctc.driver.target import Agreement, Interface, Port, Written
from mctc.ir.domain import Domain
from mctc.ir.program import Derived, Function, Program, Recipe
from mctc.streaming.lengths import base_dimension, rate_of
from mctc.tokens.names import FILE as TOKENS
from mctc.version import __version__

if TYPE_CHECKING:
    from mctc.driver.compiled import Compiled
    from mctc.driver.decoder import Given
    from mctc.rewrite.base import Refused
    from mctc.rewrite.pipeline import Ran
    from mctc.streaming.step_info import StepInfo
    from mctc.tokens.table import Tokens

SCHEMA = 2
NAME = "manifest.json"
PACKAGES = (".mlpackage", ".mlmodelc", ".mlmodel")
PROGRAM, WHOLE, ORIGINS = "program.mir", "whole.mir", "origins.json"
BLOCK = 1 << 18  # bytes: a cache holds them until they are hashed, at three quarters of the time of a larger block


def manifest(
    compiled: Compiled,
    options: BuildOptions,
    written: Written,
    agreements: list[Agreement],
    source: Mapping[str, Any],
    weights: Mapping[str, Any],
    folder: Path,
    extra: Mapping[str, Any],
    tokens: Tokens | None = None,
) -> dict[str, Any]:
    """The contents of manifest.json for a folder whose other files are written."""
    from mctc.driver.decoder import given, prompt  # who reads a manifest needs no ops
    from mctc.driver.front_end import front_end

    program, decoder = compiled.deployed, given(compiled.whole)
    explained = compiled.explanations
    return {
        "schema": SCHEMA,
        "mctc": __version__,
        "model": program.name,
        "target": options.target,
        "options": options.recorded(),
        "source": source,
        "weights": weights,
        "parameters": count_parameters(compiled.whole),
        "stream": _stream(compiled),
        "functions": {
            name: _function(compiled, function, written.interfaces[name], decoder)
            for name, function in program.functions.items()
        },
        "whole": {name: called(each, compiled.whole.functions[name].domains) for name, each in written.whole.items()},
        "extra_targets": extra,
        "vocabularies": [asdict(entry) for entry in program.vocabularies],
        "blank": blank_of(program),
        **({"durations": list(spans)} if (spans := durations_of(program)) else {}),
        "prompt": prompt(program),
        "audio": front_end(compiled),
        "tokens": _tokens(tokens, folder),
        "passes": {stage: [_measured(each) for each in ran] for stage, ran in compiled.ran.items()},
        "explanations": [{"pass": by, "where": where, "why": why} for by, where, why in explained],
        "refusals": [_refusal(each) for each in compiled.refusals],
        "verification": [_measured(agreement) for agreement in agreements],
        "files": hashes(folder),
    }


def count_parameters(program: Program) -> int:
    """The numbers of a model: all entries of its tensors but those that pruning cut."""
    read: dict[str, int] = {}
    for parameter in program.parameters.values():
        for source, entries in _entries(parameter.recipe):
            read[source] = read.get(source, 0) + entries
    return sum(min(type_.size, read.get(name, type_.size)) for name, (type_, _) in program.sources.items())


def _entries(recipe: Recipe) -> Iterator[tuple[str, int]]:
    """The tensors that a recipe reads, and how many of their entries."""
    from mctc.recipe_values import rearranged

    if (source := rearranged(recipe)) is not None:
        yield source.name, recipe.type.size
    elif isinstance(recipe, Derived):
        for operand in recipe.operands:
            if operand is not None:
                yield from _entries(operand)


def _refusal(refused: Refused) -> dict[str, Any]:
    """An op that a pass let go of, by what `mctc why` finds it again by: its origin as the pass found it."""
    origin = refused.origin
    return {
        "pass": refused.by, "function": refused.function, "op": refused.op, "where": origin.path,
        "place": None if origin.location is None else str(origin.location),
        "touched": [event.by for event in origin.history], "why": refused.why,
    }  # fmt: skip


SAID_WHERE_SO = ("undefined", "explained", "beyond", "op_by_op")


def _measured(record: Ran | Agreement) -> dict[str, Any]:
    """A record with its error to three digits: further ones depend on the machine's order of summation."""
    rounded = None if record.error is None else float(f"{record.error:.2e}")
    said = {key: value for key, value in asdict(record).items() if value or key not in SAID_WHERE_SO}
    return {**said, "error": rounded}


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Writes manifest.json, with its own digest in it."""
    plain = json.loads(json.dumps(content, default=_plain))
    write_json(folder / NAME, {**plain, "digest": seal(plain)})


def seal(content: Mapping[str, Any]) -> str:
    """SHA-256 of what a manifest says, whatever its order and spacing; its entry `digest` is left out."""
    kept = {key: value for key, value in content.items() if key != "digest"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def write_json(path: Path, content: Any) -> None:
    path.write_text(indented(content, _plain) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a built folder. Raises BuildError when there is none, one of another schema or a damaged one."""
    path = folder / NAME
    if not path.exists():
        hint = "`mctc build SPEC -o FOLDER` makes one"
        if folder.suffix.lower() in PACKAGES:
            hint = "of a package alone there are `mctc lint`, `mctc info`, and `mctc run PACKAGE --input x.npy`"
        raise BuildError(f"{folder} holds no {NAME}: it is no build of mctc", hint=hint)
    content = renamed(read_json(path))
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise BuildError(f"{path} has schema {schema!r}; this mctc reads {SCHEMA}", hint="build it again")
    if wrong := next(departures(content), None):
        raise BuildError(f"{path} is damaged: {wrong}", hint=AGAIN)
    return dict(content)


def sha256(path: Path) -> str:
    """Hash of a file, read block by block."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def hashes(folder: Path) -> dict[str, str]:
    """The hash of every file of the folder but the manifest, by its path inside it."""
    files = sorted(name for name in paths_below(folder) if name != NAME and (folder / name).is_file())
    return {name: sha256(folder / name) for name in files}


def paths_below(folder: Path) -> Iterator[str]:
    """Everything below a folder but the folders that hold something, by paths inside it. Links are not followed. Raises
    OSError."""

    def fail(error: OSError) -> None:
        raise error

    for place, folders, files in os.walk(folder, onerror=fail):
        inside = Path(place).relative_to(folder).as_posix()
        stem = "" if inside == "." else f"{inside}/"
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        yield from (f"{stem}{name}" for name in (*files, *links))
        if stem and not folders and not files:
            yield inside


def _plain(value: Any) -> Any:
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else float(value)
    if isinstance(value, Path):
        return value.name
    raise TypeError(f"{value!r} has no place in a manifest")


def _stream(compiled: Compiled) -> dict[str, Any]:
    rate = rate_of(compiled.whole, base_dimension(compiled.whole))
    milliseconds = None if rate is None else float(1000 * compiled.chunk / rate)
    return {
        "chunk_frames": compiled.chunk,
        "chunk_ms": milliseconds,
        "frame_rate_hz": rate,
        "utterance_frames": compiled.lengths.utterance,
        "streams": compiled.lengths.streams,
        "labels": compiled.whole.utterance.settings.get("labels"),
        **({"latencies": [_latency(compiled, frames) for frames in compiled.others]} if compiled.others else {}),
    }


def _latency(compiled: Compiled, frames: int) -> dict[str, Any]:
    """Another chunk: which functions are called at it, by those that are called at the first."""
    from mctc.streaming.latencies import name_at  # with it comes the derivation of steps

    rate = rate_of(compiled.whole, base_dimension(compiled.whole))
    names = {name: name_at(compiled.whole, name, frames) for name in compiled.whole.functions}
    return {
        "chunk_frames": frames,
        "chunk_ms": None if rate is None else float(1000 * frames / rate),
        "functions": {name: called for name, called in names.items() if called in compiled.steps},
    }


def _function(compiled: Compiled, function: Function, interface: Interface, decoder: Given) -> dict[str, Any]:
    step = compiled.steps[function.name]

    def told(port: Port) -> dict[str, Any]:
        part = decoder.port(step.component, port.spec)
        return {**_input(function.domains, port), **_input_timing(step, port), **part}

    packing = [asdict(entry) for entry in getattr(function, "packing", ())]
    return {
        **_stored(interface),
        "component": step.component,
        "streams_over": step.role.value,
        "streams": step.streams,
        "inputs": [told(port) for port in interface.inputs],
        "outputs": [{**_port(port), **_output_timing(step, port)} for port in interface.outputs],
        "states": [_port(port) for port in interface.states],
        "packing": packing,
        "needs_valid": step.needs_valid,
    }


def _stored(interface: Interface) -> dict[str, Any]:
    return {"package": interface.artifact, "name": interface.name, "operations": interface.operations}


def called(interface: Interface, domains: Mapping[str, Domain] | None = None) -> dict[str, Any]:
    """How a function is called: extents that differ from call to call are written as in the program.

    domains: what the spec says of the entries of inputs, besides that they are ids.
    """
    return {
        **_stored(interface),
        "inputs": [_input(domains or {}, port) for port in interface.inputs],
        "outputs": [_port(port) for port in interface.outputs],
        "states": [_port(port) for port in interface.states],
    }


def _input(domains: Mapping[str, Domain], port: Port) -> dict[str, Any]:
    domain = domains.get(port.spec) if port.table is None else None
    return _port(port) if domain is None else {**_port(port), "domain": domain.described()}


def _port(port: Port) -> dict[str, Any]:
    described = {
        "name": port.name,
        "spec_name": port.spec,
        "shape": list(port.shape),
        "dtype": port.dtype,
        "roles": list(port.roles),
    }
    said = {"ids_below": port.bound, "embedding_table": port.table}
    return described | {key: value for key, value in said.items() if value is not None}


def _input_timing(step: StepInfo, port: Port) -> dict[str, Any]:
    return {"frames": step.frames[port.spec]} if port.spec in step.frames else {}


def _output_timing(step: StepInfo, port: Port) -> dict[str, Any]:
    """Frames a call, delay, latency and receptive field; past null means every earlier frame."""
    timing = step.timings.get(port.spec)
    if timing is None:
        return {}
    return {
        "frames": step.frames.get(port.spec),
        "input_frames_per_frame": timing.jump,
        "delay_frames": timing.delay,
        "delay_ms": step.delay_ms(port.spec),
        "latency_ms": step.latency_ms(port.spec),
        "receptive_field": {"past_frames": timing.past, "ahead_frames": timing.ahead},
    }


def _tokens(tokens: Tokens | None, folder: Path) -> dict[str, Any] | None:
    """The kind of the tokens, how many there are, and the file of the table with its hash."""
    if tokens is None:
        return None
    return {"file": TOKENS, "sha256": sha256(folder / TOKENS), "kind": tokens.kind, "size": tokens.size}


def blank_of(program: Program) -> int | None:
    """The blank token's id, as the training objective says it."""
    objective = program.train.call("objective")
    blank = None if objective is None else objective[1].get("blank")
    return blank if isinstance(blank, int) else None


def durations_of(program: Program) -> tuple[int, ...]:
    """How many frames each of the joiner's logits of durations goes on, as the training objective says it."""
    objective = program.train.call("objective")
    told = () if objective is None else objective[1].get("durations", ())
    return tuple(each for each in told if isinstance(each, int)) if isinstance(told, tuple) else ()
