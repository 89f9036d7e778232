"""Running passes in order, with verification, optional validation, and a look at the program after any of them."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any

from mctc.diagnostics.errors import MctcError
from mctc.ir.program import Program
from mctc.ir.verify import VerificationError, verify
from mctc.records import dataclass
from mctc.rewrite.base import Context, Pass
from mctc.rewrite.order import ordered

MEND = "mend that plugin, or leave its pass out with --without; MCTC_TRACEBACK=1 shows where it fails"


class PassError(MctcError):
    """A plugin's pass that fails, or returns what is no sound program."""


@dataclass(frozen=True)
class Ran:
    """One pass that ran: how many ops there were before and after, and its measured error if it was validated."""

    name: str
    ops_before: int
    ops_after: int
    error: float | None


Watch = Callable[[type[Pass], Program], None]


def run_stage(
    program: Program,
    stage: str,
    passes: Iterable[type[Pass]],
    context: Context,
    *,
    without: Container[str] = (),
    options: Mapping[str, Mapping[str, Any]] = {},
    each: bool = False,
    watch: Watch | None = None,
    known: Program | None = None,
) -> tuple[Program, list[Ran]]:
    """The program after all passes of a stage but those named in `without`, which keep their place in the order.

    options: checked values by pass and option (mctc.rewrite.options). With `each`, every pass's promise is checked by
    evaluation. `watch` sees the program after every pass. known: the program, where it is known to break no rule.

    What the stage leaves is verified. Where that breaks a rule, the passes run again and what each leaves is verified,
    which tells the one at fault; so it is from the start with `each`, and where a plugin's pass is among them.
    Raises what the passes raise, PassError, VerificationError and ValidationError.
    """
    chosen = [cls for cls in ordered(passes, stage) if cls.name not in without]
    own = all(map(_is_own, chosen))

    def run(verifies: bool, watch: Watch | None) -> tuple[Program, list[Ran]]:
        return _run_all(program, chosen, context, options, each, watch, known, verifies)

    if each or not own:
        return run(True, watch)
    after, ran = run(False, watch)
    try:
        verify(after, known)
    except VerificationError:
        run(True, None)
        raise
    return after, ran


def _is_own(cls: type[Pass]) -> bool:
    return cls.__module__.startswith("mctc.")


def _run_all(
    program: Program,
    passes: Iterable[type[Pass]],
    context: Context,
    options: Mapping[str, Mapping[str, Any]],
    each: bool,
    watch: Watch | None,
    known: Program | None,
    verifies: bool,
) -> tuple[Program, list[Ran]]:
    ran: list[Ran] = []
    validated = _validation() if each else None
    for cls in passes:
        known = program if ran else known
        promise, after = _run(cls, options.get(cls.name, {}), program, context, known, verifies)
        error = validated(promise, program, after) if validated is not None else None
        ran.append(Ran(cls.name, _count(program), _count(after), error))
        program = after
        if watch:
            watch(cls, program)
    return program, ran


def _validation() -> Callable[[Pass, Program, Program], float]:
    """What checks the passes of one stage, in order."""
    from mctc.rewrite.validate import Validation  # numpy's random numbers, which a build without it has no need of

    return Validation().check


def _run(
    cls: type[Pass],
    options: Mapping[str, Any],
    program: Program,
    context: Context,
    known: Program | None,
    verifies: bool,
) -> tuple[Pass, Program]:
    """The pass and the program that it leaves, verified if asked for, but for what a known one has too. Raises
    PassError for a plugin's that fails."""
    if _is_own(cls):
        promise = cls(**options)
        after = promise.run(program, context)
        if verifies:
            verify(after, known)
        return promise, after
    functions = tuple(program.functions)
    try:
        promise = cls(**options)
        after = promise.run(program, context)
    except (MctcError, KeyboardInterrupt):
        raise
    except BaseException as error:  # whatever a stranger's code raises, SystemExit too
        raise PassError(f"{_named(cls)} fails: {type(error).__name__}: {error}", hint=MEND) from error
    if not isinstance(after, Program):
        raise PassError(f"{_named(cls)} returns {after!r:.60}, where a program belongs", hint=MEND)
    if lost := [name for name in functions if name not in after.functions]:
        raise PassError(f"{_named(cls)} leaves no function {lost[0]}, which was in the program", hint=MEND)
    try:
        verify(after, known)
    except VerificationError as error:
        raise VerificationError(f"{_named(cls)} leaves a program that breaks a rule: {error}") from error
    return promise, after


def _named(cls: type[Pass]) -> str:
    from mctc.plugins import registry

    return f"pass `{cls.name}` of {registry().origin('passes', cls.name) or cls.__module__}"


def _count(program: Program) -> int:
    return sum(len(function.ops) for function in program.functions.values())
