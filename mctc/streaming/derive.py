"""Deriving a step function: from the time behaviours of a component's ops alone.

The promise: for every chunking, running the step over the chunks equals running the whole function over the whole
utterance, apart from the delay that look-ahead costs.
"""

from __future__ import annotations

from dataclasses import replace

from mctc.diagnostics.diagnostic import DiagnosticError, LocatedError
from mctc.ir.program import Function, Program
from mctc.ir.types import Role
from mctc.streaming.derivation import Derivation
from mctc.streaming.derive_loop import derive_loop
from mctc.streaming.lengths import Lengths
from mctc.streaming.refusals import WHOLE
from mctc.streaming.sizes import streaming_role
from mctc.streaming.step_info import StepInfo


def derive_program(
    program: Program, lengths: Lengths | int, only: set[str] | None = None
) -> tuple[Program, dict[str, StepInfo]]:
    """Step functions of all components (or of those named). A number stands for a chunk of so many base frames.

    A component whose results have a time axis streams over time; with labels too it takes one label and a chunk of
    frames. Any other one streams over its label axis, a label a call, and takes frames as a whole utterance of them.
    Where the spec says how long an utterance is, a component that can't be streamed takes all of it in one call; where
    it says how many labels are prefilled, what carries a state over labels has a second function for so many.
    Raises DiagnosticError where an op needs the whole utterance or runs along labels beside time, where a component
    takes several dimensions of a kind, and where a length is no whole number of frames.
    """
    lengths = Lengths(lengths) if isinstance(lengths, int) else lengths
    new = replace(program, functions={}, parameters=dict(program.parameters))
    infos: dict[str, StepInfo] = {}
    for name, function in program.functions.items():
        if only is None or name in only:
            new.functions[name], infos[name] = _derived(program, function, lengths)
            prefill = program.utterance.count("prefill")
            if prefill is not None and infos[name].role is Role.LABEL and new.functions[name].states:
                called = f"{name}_prefill"
                if called in program.functions:
                    told = f"`{called}` is what the prefill of `{name}` is called: give this component another name"
                    raise LocatedError("MCT0206", told, program.functions[called].origin.location)
                derivation = Derivation(program, function, lengths, called, prefill)
                new.functions[called], infos[called] = derivation.run(derive_loop)
                new.vocabularies += tuple(replace(v, function=called) for v in new.vocabularies if v.function == name)
    return new, infos


def _derived(program: Program, function: Function, lengths: Lengths) -> tuple[Function, StepInfo]:
    """The step of a component, or the function over a whole utterance where it has none."""
    try:
        return Derivation(program, function, lengths, function.name).run(derive_loop)
    except DiagnosticError as error:
        needs_whole = lengths.streams and error.diagnostics[0].code == WHOLE
        if not needs_whole or lengths.utterance is None or streaming_role(function) is Role.LABEL:
            raise
    return Derivation(program, function, replace(lengths, streams=False), function.name).run(derive_loop)
