"""The three components of a transducer, with durations or without."""

from __future__ import annotations

from mctc.ir.program import Function, Program
from mctc.ir.types import Role
from mctc.objectives.components import (
    VOCABULARY,
    Hearing,
    check_ids,
    check_same,
    components_told,
    hearing_from,
    shown,
    takes,
    valid_classes,
)
from mctc.objectives.misfit import MisfitError
from mctc.objectives.taken import Result, static_width
from mctc.records import dataclass


@dataclass(frozen=True)
class Transducer:
    """`classes` are those of the labels and the blank. durations: how many logits of durations the joiner gives, behind
    those of the classes in its first result, or `apart`, in its second."""

    hearing: Hearing
    predictor: Function
    joiner: Function
    classes: int
    durations: int = 0
    apart: bool = False


def transducer(program: Program, durations: int = 0) -> Transducer:
    """The components of a transducer, whose joiner also says by so many logits how many frames a label takes.

    Raises MisfitError where there are others.
    """
    kinds = [(takes(f, Role.TIME), takes(f, Role.LABEL)) for f in program.functions.values()]
    if sorted(kinds) != [(False, True), (True, False), (True, True)]:
        raise MisfitError(
            "a transducer has three components: an encoder over time, a predictor over labels, a joiner of both; "
            f"this model has {components_told(program)}"
        )
    by_kind = dict(zip(kinds, program.functions.values(), strict=True))
    predictor, joiner = by_kind[False, True], by_kind[True, True]
    hearing = hearing_from([by_kind[True, False]])
    for function, inputs in ((predictor, 1), (joiner, 2)):
        if len(function.inputs) != inputs:
            raise MisfitError(f"`{function.name}` of a transducer has {inputs} input{'s' * (inputs > 1)}")
    apart = durations > 0 and len(joiner.results) > 1
    classes = _labels(program, joiner, 0 if apart else durations)
    if apart:
        _check_durations(joiner, durations)
    (token,) = predictor.inputs
    check_ids(predictor, token, classes)
    for value in joiner.inputs:
        source = hearing.encoder if value.type.find(Role.TIME) is not None else predictor
        name, first = source.results[0]
        check_same(joiner, value, Result(source.name, name), first.type, by_name=False)
    if sum(value.type.find(Role.TIME) is not None for value in joiner.inputs) != 1:
        raise MisfitError(f"`{joiner.name}` takes a result of the encoder and one of the predictor")
    return Transducer(hearing, predictor, joiner, classes, durations, apart)


def _labels(program: Program, joiner: Function, durations: int) -> int:
    """The classes of a joiner's first result, behind which stand so many durations."""
    entries = valid_classes(program, joiner, joiner.results[0][0])
    if entries is None:
        raise MisfitError(f"`{joiner.name}` gives no vocabulary", hint=VOCABULARY)
    if durations and entries < durations + 2:
        told = f"`{joiner.name}` has {entries} entries for its classes and {durations} durations"
        raise MisfitError(told, hint="durations are the last entries of its vocabulary, or a second result")
    return entries - durations


def _check_durations(joiner: Function, durations: int) -> None:
    name, value = joiner.results[1]
    over_both = all(value.type.find(role) is not None for role in (Role.TIME, Role.LABEL))
    if static_width(value.type) != durations or not over_both:
        told = f"`{name}` of `{joiner.name}` is {shown(value.type)}, which are no logits of {durations} durations"
        raise MisfitError(told, hint=f"give it {durations} channels for each frame and label")
