"""Step functions of one program at several chunk lengths, side by side: one set of parameters, one layout of states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from mctc.diagnostics.diagnostic import LocatedError
from mctc.ir.program import Function, Program
from mctc.ir.types import Role
from mctc.streaming.derive import derive_program
from mctc.streaming.lengths import Lengths, base_dimension, rate_of
from mctc.streaming.step_info import StepInfo


def derive_latencies(
    program: Program, lengths: Lengths, others: Sequence[int] = (), only: set[str] | None = None
) -> tuple[Program, dict[str, StepInfo]]:
    """`derive_program` at the chunk of `lengths`, and of what streams over time at chunks of `others` frames too.

    A function at another chunk is called after it: `encoder_80ms`. Raises DiagnosticError as `derive_program` does, and
    for a name that the spec has already, or states that depend on the chunk.
    """
    found, infos = derive_program(program, lengths, only)
    for frames in others:
        derived, at = derive_program(program, replace(lengths, chunk=frames), only)
        for name, info in at.items():
            if info.role is not Role.TIME or not info.streams:
                continue
            called = name_at(program, name, frames)
            if called in program.functions:
                told = f"`{called}` is what `{name}` is called at another chunk: give this component another name"
                raise LocatedError("MCT0206", told, program.functions[called].origin.location)
            function = derived.functions[name]
            _check_states(found.functions[name], function)
            found.functions[called] = replace(function, name=called)
            infos[called] = replace(info, function=called)
            found.vocabularies += tuple(
                replace(entry, function=called) for entry in program.vocabularies if entry.function == name
            )
    return found, infos


def name_at(program: Program, component: str, frames: int) -> str:
    """'encoder_80ms', or 'encoder_8frames' without a rate."""
    rate = rate_of(program, base_dimension(program))
    if rate is None:
        return f"{component}_{frames}frames"
    return f"{component}_{_milliseconds(1000 * Fraction(frames) / rate)}ms"


def _milliseconds(value: Fraction) -> str:
    return f"{float(value):g}".replace(".", "_")


def _check_states(one: Function, other: Function) -> None:
    """Raises LocatedError where two chunks of a component carry different states, so that neither could go on."""
    types = [[(state.name, state.value.type) for state in function.states] for function in (one, other)]
    if types[0] != types[1]:
        told = f"{one.name} carries other states at chunks of another length, so it can't be switched between them"
        raise LocatedError("MCT0206", told, one.origin.location, hint="write one chunk, or build once for each")
