"""What a build would refuse of a program, told without building: no weights, nothing written, no library of a target.

The common passes and the derivation of steps run, on which every target stands; what goes wrong there is an error. Each
target is then asked what it refuses: an error where the target is wanted, else a warning that names it. For a wanted
target its own passes run too, and what it composes without weights is composed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence

from mctc.diagnostics.diagnostic import Diagnostic, DiagnosticError, Severity, diagnostic_at
from mctc.diagnostics.errors import MctcError
from mctc.driver.chunk import latencies
from mctc.driver.compile import check_numbers, compile_program
from mctc.driver.compiled import Compiled, Requirements
from mctc.driver.front_end import front_end
from mctc.driver.options import BuildOptions
from mctc.driver.refusal import Refusal
from mctc.driver.target import Target, compile_for, target_named
from mctc.ir.program import Program
from mctc.ir.types import Role
from mctc.plugins import registry
from mctc.streaming.latencies import derive_latencies

UNSAID, UNUSED, LONG = "MCT0205", "MCT0207", "MCT0212"
MANY = 1000  # ops of one call, which stands in one line of the spec


def check_program(program: Program, wanted: Sequence[str] = ()) -> list[Diagnostic]:
    """Errors and warnings of an elaborated program. `wanted` are names of targets; raises PluginError for another."""
    for name in wanted:
        registry().plugin("targets", name)
    said = _says_lengths(program)
    try:
        plain = compile_program(
            program, BuildOptions(), requirements=Requirements(deploys=False, whole=not said, checks=True)
        )
        found = [*plain.warnings, *_audio(plain), *_long(program)]
        _check_tokens(program)
    except MctcError as error:
        return _diagnostics(error)
    refused: dict[Refusal, list[str]] = {}
    further = _further_chunks(plain) if said else []
    numbers: dict[Hashable, list[Refusal]] = {}
    for name in registry().names("targets"):
        target = target_named(name)
        if target.stands_on is not None and name not in wanted:
            continue
        if not said and not target.requirements.whole:
            refused.setdefault(_unsaid(program), []).append(name)
            continue
        options, compiled = BuildOptions(target=name).resolved(target.forms), plain
        if name in wanted:
            try:
                compiled = _rehearsed(target, program, options)
            except MctcError as error:
                found += _diagnostics(error)
                continue
        others = further if target.requirements.latencies and name not in wanted else []
        asked = _of_numbers(target, options)
        if asked not in numbers:
            numbers[asked] = _numbers(target, plain, options)
        for refusal in [*numbers[asked], *others, *target.refuses(compiled, options)]:
            refused.setdefault(refusal, []).append(name)
    for refusal, names in refused.items():
        severity = Severity.ERROR if set(names) & set(wanted) else Severity.WARNING
        found.append(refusal.diagnostic(names, severity))
    return found


def _check_tokens(program: Program) -> None:
    if program.tokens.settings:
        from mctc.driver.tokens import check_tokens

        check_tokens(program)


def _of_numbers(target: Target, options: BuildOptions) -> Hashable:
    """What targets have in common whose artifacts hold the same numbers: they differ in their stacks where these lay
    programs out anew."""
    asked = target.requirements
    return options.precision, asked.deploys, asked.without, asked.stack if asked.lays_out else ""


def _numbers(target: Target, plain: Compiled, options: BuildOptions) -> list[Refusal]:
    """Numbers that the target's artifacts can't hold."""
    try:
        check_numbers(plain.whole, options, target.requirements)
    except DiagnosticError as error:
        return [Refusal.of(found) for found in error.diagnostics]
    return []


def _further_chunks(plain: Compiled) -> list[Refusal]:
    """What keeps a program from steps at the chunks that its spec lists behind the first."""
    try:
        others = latencies(plain.whole, None)
        if others:
            derive_latencies(plain.whole, plain.lengths, others)
    except DiagnosticError as error:
        return [Refusal.of(found) for found in error.diagnostics]
    return []


def _says_lengths(program: Program) -> bool:
    """Whether the spec says how many frames a call takes, or no component takes any."""
    timed = any(v.type.find(Role.TIME) is not None for f in program.functions.values() for v in f.inputs)
    return not timed or bool(program.stream.settings or program.utterance.settings.get("length"))


def _unsaid(program: Program) -> Refusal:
    place = next(function.origin.location for function in program.functions.values())
    hint = (
        "write `stream { chunk = 320 ms }` or `utterance { length = 30 s }` in the model; or build with --chunk 320ms"
    )
    return Refusal(f"{program.name} doesn't say how much audio a call takes", place, hint, UNSAID)


def _rehearsed(target: Target, program: Program, options: BuildOptions) -> Compiled:
    compiled = compile_for(target, program, options)
    if not any(target.refuses(compiled, options)):
        target.rehearse(compiled, options)
    return compiled


def _audio(compiled: Compiled) -> list[Diagnostic]:
    """Warns of an audio section that is about no input. Raises LocatedError for one that can't be."""
    audio = compiled.whole.audio
    if not audio.settings or front_end(compiled) is not None:
        return []
    place = next(iter(audio.places.values()), None)
    told = "no input is frames of sound, so the audio section says nothing"
    hint = (
        "such an input is `mel`, with its bins as channels or features, at the rate of `hop` (100 frames a second"
        " unless told), or `samples`, whose frames times channels are `rate`"
    )
    return [diagnostic_at(place, UNUSED, told, hint=hint, severity=Severity.WARNING)]


def _long(program: Program) -> Iterator[Diagnostic]:
    """Warns of calls that become very many ops."""
    for function in program.functions.values():
        ops = Counter((_called(op.origin.path), op.origin.location) for op in function.ops)
        for (_, place), count in ops.items():
            if count > MANY:
                told = f"this becomes {count:,} ops, each of which every target takes one by one"
                hint = "ask for fewer, or leave it to what calls the model"
                yield diagnostic_at(place, LONG, told, hint=hint, severity=Severity.WARNING)


def _called(path: str) -> str:
    """The path of the call in a component, or in a round of its repeats, that an op came from."""
    parts = path.split(".")
    at = 1
    while parts[at + 1 : at + 2] and parts[at + 1].isdigit():
        at += 2
    return ".".join(parts[: at + 1])


def _diagnostics(error: MctcError) -> list[Diagnostic]:
    if isinstance(error, DiagnosticError):
        return list(error.diagnostics)
    return [Diagnostic(Refusal.code, error.message, None, error.hint)]
