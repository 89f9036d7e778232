"""Running passes in order, with verification, optional validation, and a look at the program after any of them."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass

from mctc.ir.program import Program
from mctc.ir.verify import verify
from mctc.rewrite.base import Context, Pass
from mctc.rewrite.order import ordered


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
    each: bool = False,
    watch: Watch | None = None,
) -> tuple[Program, list[Ran]]:
    """The program after all passes of a stage but those named in `without`, which keep their place in the order.

    With `each`, every pass's promise is checked by evaluation.

    `watch` sees the program after every pass. Raises what the passes raise, VerificationError and ValidationError.
    """
    ran: list[Ran] = []
    for cls in ordered(passes, stage):
        if cls.name in without:
            continue
        promise = cls()
        after = promise.run(program, context)
        verify(after)
        error = _validated(promise, program, after) if each else None
        ran.append(Ran(cls.name, _count(program), _count(after), error))
        program = after
        if watch:
            watch(cls, program)
    return program, ran


def _validated(promise: Pass, before: Program, after: Program) -> float | None:
    from mctc.rewrite.validate import validate

    return validate(promise, before, after)


def _count(program: Program) -> int:
    return sum(len(function.ops) for function in program.functions.values())
