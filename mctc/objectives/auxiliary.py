"""Auxiliary objectives: losses of what a part of the model gives, each by a head that is there in training alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from mctc.diagnostics.near import did_you_mean, listing
from mctc.ir.program import Function, Program, Value
from mctc.ir.types import Role
from mctc.objectives.components import Hearing, MisfitError, frame_rate
from mctc.objectives.settings import AUXILIARIES, complete
from mctc.records import dataclass

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Auxiliary:
    """CTC of what a part of a component gives, by a linear head of this name.

    path: of the part, behind the component's name; "" for the component's first result. width: channels of what it
    gives. stride: how many frames of the features make one of its own.
    """

    head: str
    function: str
    path: str
    value: Value
    width: int
    stride: int
    settings: Settings


def heads(train: Settings) -> dict[str, tuple[str, Settings]]:
    """The auxiliary objectives of a `train` section by the names of their heads: name and settings of each."""
    made: dict[str, tuple[str, Settings]] = {}
    for name, given in train.get("auxiliary", ()):
        count = sum(other == name for other, _ in made.values())
        made[f"auxiliary_{name}{f'_{count}' if count else ''}"] = name, complete(name, given, AUXILIARIES)
    return made


def training_only(train: Settings) -> frozenset[str]:
    """The names of the tensors that a training module may hold for them and no artifact has."""
    return frozenset(f"{head}.{tensor}" for head in heads(train) for tensor in ("weight", "bias"))


def auxiliaries(program: Program, hearing: Hearing) -> list[Auxiliary]:
    """What the auxiliary objectives of a program are of, but those that weigh nothing. Raises MisfitError for a part
    that is none, or gives no vector for each frame."""
    weighed = {head: settings for head, (_, settings) in heads(program.train.settings).items() if settings["weight"]}
    return [auxiliary(program, hearing, head, settings) for head, settings in weighed.items()]


def auxiliary(program: Program, hearing: Hearing, head: str, settings: Settings) -> Auxiliary:
    """The same of one."""
    name, _, path = settings["of"].partition(".")
    if head in program.functions or any(source.partition(".")[0] == head for source in program.sources):
        raise MisfitError(f"`{head}` is the name of the head that an auxiliary objective adds", hint="rename yours")
    over_time = {function.name: function for function in (hearing.encoder, *hearing.between)}
    if name not in over_time:
        hint = did_you_mean(name, over_time) or f"the components over time are {listing(over_time)}"
        raise MisfitError(f"`{name}` is no component over time", hint=hint)
    value = _given(over_time[name], settings["of"]) if path else over_time[name].results[0][1]
    roles = [role for role in value.type.roles if role is not Role.UNIT]
    at = value.type.find(Role.CHANNEL)
    width = value.type.extents[at].value if at is not None and value.type.extents[at].is_static else None
    rate = frame_rate(over_time[name], hearing.features, value.type)
    wanted = {Role.BATCH, Role.TIME, Role.CHANNEL}
    if set(roles) != wanted or len(roles) != 3 or width is None or rate.numerator != 1:
        told = f"`{settings['of']}` gives {value.type}, which is no vector of channels for each frame"
        raise MisfitError(told, hint="name a component or a part of one that gives f32[B, T, channels]")
    return Auxiliary(head, name, path, value, width, rate.denominator, settings)


def _given(function: Function, path: str) -> Value:
    """The one value that the instance at a path hands to the ops around it."""
    inside = {op for op in function.ops if op.operands and f"{op.origin.path}.".startswith(f"{path}.")}
    if not inside:
        hint = f"its parts are {listing(_parts(function))}"
        raise MisfitError(f"`{path}` is no part of `{function.name}`", hint=hint)
    uses, leaving = function.uses(), set(function.outputs)
    given = [
        value
        for op in function.ops
        if op in inside
        for value in op.results
        if value in leaving or not inside.issuperset(uses.get(value, ()))
    ]
    if len(given) != 1:
        raise MisfitError(f"`{path}` gives {len(given)} tensors", hint="name a part that gives one")
    return given[0]


def _parts(function: Function) -> Collection[str]:
    """The instances right inside of a component: rounds of a repeat with their number."""
    found: dict[str, None] = {}
    for op in function.ops:
        first, *more = op.origin.path[len(function.name) + 1 :].split(".")
        if first and op.operands:
            found[".".join([function.name, first, *more[: bool(more) and more[0].isdigit()]])] = None
    return found
