"""From a program as the spec says it to step functions that a target can write."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from mctc.diagnostics.diagnostic import DiagnosticError
from mctc.diagnostics.near import did_you_mean, listing
from mctc.driver.chunk import LengthError, latencies, lengths
from mctc.driver.compiled import DERIVE, PACKING, Compiled, Requirements, Watch
from mctc.driver.options import PRECISIONS, STATES, BuildOptions, OptionError
from mctc.driver.pass_options import pass_options
from mctc.ir.program import Program
from mctc.ir.types import Role
from mctc.plugin_ops import declare_ops
from mctc.plugins import registry
from mctc.rewrite.base import Context
from mctc.rewrite.pipeline import Ran, run_stage
from mctc.rewrite.training import without_training
from mctc.streaming.derive import derive_program
from mctc.streaming.latencies import derive_latencies
from mctc.streaming.lengths import Lengths
from mctc.streaming.sizes import streaming_role
from mctc.streaming.step_info import StepInfo

USUAL = Requirements()


def compile_program(
    program: Program,
    options: BuildOptions,
    watch: Watch | None = None,
    *,
    requirements: Requirements = USUAL,
) -> Compiled:
    """Runs the common passes, derives the steps, runs the deploy passes, as a target wants it. Raises MctcError."""
    run, context = _prepared(program, options, requirements, watch)
    shipped = without_training(program)
    whole, common = run(shipped, "common")
    alone = shipped is not program and not requirements.checks
    training = _prepared(program, options, requirements, None)[0](program, "common")[0] if alone else whole
    return _behind(whole, training, common, run, context, options, watch, requirements)


def compile_whole(whole: Program, options: BuildOptions, *, requirements: Requirements = USUAL) -> Compiled:
    """The same from a program that the common passes have been over. Raises MctcError."""
    run, context = _prepared(whole, options, requirements, None)
    return _behind(without_training(whole), whole, [], run, context, options, None, requirements)


def check_numbers(whole: Program, options: BuildOptions, requirements: Requirements) -> None:
    """Raises what compiling raises for numbers that artifacts can't hold, of a program behind the common passes."""
    if requirements.deploys:
        run, _ = _prepared(whole, options, replace(requirements, deploys=False), None)
        run(whole, "number", known=whole)


Stage = Callable[..., tuple[Program, list[Ran]]]  # run_stage for a program and a stage


def _prepared(
    program: Program, options: BuildOptions, requirements: Requirements, watch: Watch | None
) -> tuple[Stage, Context]:
    declare_ops()
    passes = registry().passes(deploys=requirements.deploys or bool(options.without)).values()
    left_out = (*_left_out(options), *requirements.without)
    left_out += (PACKING,) if options.split else ()  # each part packs its own states
    context = Context(
        options.device,
        options.state or STATES[0],
        stack=requirements.stack,
        precision=options.precision or PRECISIONS[0],
    )
    stage = partial(
        run_stage, passes=passes, context=context, without=left_out, options=pass_options(program.passes, options),
        each=options.verify_each, watch=(lambda cls, after: watch(cls.name, after)) if watch else None,
    )  # fmt: skip
    return stage, context


def _behind(
    whole: Program, training: Program, common: list[Ran], run: Stage, context: Context, options: BuildOptions,
    watch: Watch | None, requirements: Requirements,
) -> Compiled:  # fmt: skip
    """The steps of a program behind the common passes and, where the target deploys, what becomes of them."""
    others = latencies(whole, options.chunk) if requirements.latencies else ()
    if requirements.whole:
        asked, (derived, steps) = _streamed(whole, options, context)
    else:
        asked = lengths(whole, options.chunk)
        derived, steps = derive_latencies(whole, asked, others)
    if watch:
        watch(DERIVE, derived)
    reference, number = run(whole, "number", known=whole) if requirements.deploys else (whole, [])
    start = derived
    if reference is not whole:
        start, steps = derive_latencies(reference, asked, others, only=set(steps))
        start.vocabularies = tuple(entry for entry in start.vocabularies if entry.function in steps)
    lowered, deploy = run(start, "deploy") if requirements.deploys else (derived, [])
    deployed, again = run(lowered, "number", known=lowered) if requirements.deploys else (lowered, [])
    ran = {"common": common, "number": number, "deploy": deploy, "number again": again}
    explanations, refusals = tuple(dict.fromkeys(context.explanations)), tuple(dict.fromkeys(context.refusals))
    return Compiled(
        whole, training, derived, reference, lowered, deployed, asked, steps, ran, explanations,
        tuple(context.warnings), refusals, others,
    )  # fmt: skip


def _streamed(
    whole: Program, options: BuildOptions, context: Context
) -> tuple[Lengths, tuple[Program, dict[str, StepInfo]]]:
    """The steps of the components that have one; none over time where nothing says how much a call takes."""
    streamed = replace(whole, functions={}, parameters=dict(whole.parameters))
    steps: dict[str, StepInfo] = {}
    try:
        asked, timeless = lengths(whole, options.chunk), False
    except LengthError as error:
        if options.chunk is not None or whole.stream.settings or whole.utterance.settings:
            raise
        context.explain(DERIVE, whole.name, error.message)
        asked, timeless = Lengths(1), True
    for name, function in whole.functions.items():
        if timeless and streaming_role(function) is Role.TIME:
            continue
        try:
            derived, info = derive_program(whole, asked, only={name})
        except DiagnosticError as error:
            context.explain(DERIVE, name, error.diagnostics[0].message)
            continue
        streamed.functions[name] = derived.functions[name]
        steps[name] = info[name]
    streamed.vocabularies = tuple(entry for entry in whole.vocabularies if entry.function in steps)
    return asked, (streamed, steps)


def _left_out(options: BuildOptions) -> tuple[str, ...]:
    known = registry().names("passes")
    for name in options.without:
        if name not in known:
            raise OptionError(f"there is no pass `{name}` to leave out", hint=did_you_mean(name, known))
    return options.without


def check_pass_names(names: Iterable[str], options: BuildOptions) -> None:
    """Raises OptionError for a name that no pass of the pipeline has."""
    known = sorted({*registry().passes(), DERIVE}.difference(_left_out(options)))
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or f"the passes are {listing(known)}"
            raise OptionError(f"there is no pass `{name}` in this build", hint=hint)


def program_at(
    program: Program, *, after: str | None = None, before: str | None = None, options: BuildOptions | None = None
) -> Program:
    """The program as a pass leaves it (`after`) or finds it (`before`). Raises OptionError for an unknown pass."""
    options = options or BuildOptions()
    check_pass_names([name for name in (after, before) if name], options)
    finder = _Finder(program, after, before)
    with suppress(_FoundError):
        compile_program(replace(program), options, finder.watch)
    return finder.current


class _FoundError(Exception):
    """The pass was reached: the rest of the pipeline isn't needed."""


class _Finder:
    """Watches a compilation for one pass. `current` is the program after the last pass seen."""

    def __init__(self, program: Program, after: str | None, before: str | None) -> None:
        self.current, self.after, self.before = program, after, before

    def watch(self, name: str, program: Program) -> None:
        if name == self.before:
            raise _FoundError
        self.current = program
        if name == self.after:
            raise _FoundError
