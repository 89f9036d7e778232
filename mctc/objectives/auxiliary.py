"""Auxiliary objectives: losses of what a part of the model gives, each by a head that is there in training alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from mctc.diagnostics.near import did_you_mean, listing
from mctc.ir.program import Function, Program, Value
from mctc.ir.types import Role
from mctc.objectives.components import Hearing, frame_rate, frames_heard
from mctc.objectives.fit import Fit, hearing_of
from mctc.objectives.misfit import MisfitError
from mctc.objectives.settings import AUXILIARIES, complete
from mctc.objectives.taken import Result
from mctc.records import dataclass

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Auxiliary:
    """A loss of what a part of a component gives, by a linear head of this name, or of the model's own classes.

    kind: a name of AUXILIARIES. path: of the part, behind the component's name; "" for the component's `result`.
    width: channels of what it gives. stride: how many frames of the features make one of its own. classes: of the task.
    """

    kind: str
    head: str
    function: str
    path: str
    result: Result
    width: int
    stride: int
    classes: int
    settings: Settings


def heads(train: Settings) -> dict[str, tuple[str, Settings]]:
    """The auxiliary objectives of a `train` section by the names of their heads: name and settings of each. Those of
    the model's own classes have none, and stand under their place in the section."""
    made: dict[str, tuple[str, Settings]] = {}
    for place, (name, given) in enumerate(train.get("auxiliary", ())):
        settings = complete(name, given, AUXILIARIES)
        if settings["of"] is None:
            made[f"{place}"] = name, settings
            continue
        count = sum(other == name and each["of"] is not None for other, each in made.values())
        made[f"auxiliary_{name}{f'_{count}' if count else ''}"] = name, settings
    return made


def training_only(train: Settings) -> frozenset[str]:
    """The names of the tensors that a training module may hold for them and no artifact has."""
    own = [head for head, (_, settings) in heads(train).items() if settings["of"] is not None]
    return frozenset(f"{head}.{tensor}" for head in own for tensor in ("weight", "bias"))


def auxiliaries(program: Program, found: Fit) -> list[Auxiliary]:
    """What the auxiliary objectives of a program are of, but those that weigh nothing. found: of its objective. Raises
    MisfitError for a part that is none, or gives no vector for each frame."""
    return [
        auxiliary(program, found, head, kind, settings)
        for head, (kind, settings) in heads(program.train.settings).items()
        if settings["weight"]
    ]


def auxiliary(program: Program, found: Fit, head: str, kind: str, settings: Settings) -> Auxiliary:
    """The same of one."""
    own = settings["classes"]
    if (own is None) != (settings["targets"] is None):
        raise MisfitError("another task has both, `classes` and `targets`", hint="give both, or neither")
    if settings["of"] is None:
        if own is not None:
            raise MisfitError("another task needs a head", hint="say what it reads: `of = encoder`")
        said = frames_heard(program)
        return Auxiliary(
            kind, "", said.result.component, "", said.result, 0, said.hearing.stride, said.classes, settings
        )
    if own is not None and own < 2:
        raise MisfitError(f"a task of {own} classes has nothing to tell apart")
    return _by_a_head(program, hearing_of(found), head, kind, settings, found.classes if own is None else own)


def read_by(program: Program, each: Auxiliary) -> Value:
    """What the head of one reads."""
    function = program.functions[each.function]
    if each.path:
        return _given(function, f"{each.function}.{each.path}")
    return dict(function.results)[each.result.name]


def _by_a_head(program: Program, hearing: Hearing, head: str, kind: str, settings: Settings, classes: int) -> Auxiliary:
    name, _, path = settings["of"].partition(".")
    if head in program.functions or any(source.partition(".")[0] == head for source in program.sources):
        raise MisfitError(f"`{head}` is the name of the head that an auxiliary objective adds", hint="rename yours")
    over_time = {function.name: function for function in (hearing.encoder, *hearing.between)}
    if name not in over_time:
        hint = did_you_mean(name, over_time) or f"the components over time are {listing(over_time)}"
        raise MisfitError(f"`{name}` is no component over time", hint=hint)
    result, value = over_time[name].results[0]
    value = _given(over_time[name], settings["of"]) if path else value
    roles = [role for role in value.type.roles if role is not Role.UNIT]
    at = value.type.find(Role.CHANNEL)
    width = value.type.extents[at].value if at is not None and value.type.extents[at].is_static else None
    rate = frame_rate(over_time[name], hearing.features, value.type)
    wanted = {Role.BATCH, Role.TIME, Role.CHANNEL}
    if set(roles) != wanted or len(roles) != 3 or width is None or rate.numerator != 1:
        told = f"`{settings['of']}` gives {value.type}, which is no vector of channels for each frame"
        raise MisfitError(told, hint="name a component or a part of one that gives f32[B, T, channels]")
    return Auxiliary(kind, head, name, path, Result(name, result), width, rate.denominator, classes, settings)


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
