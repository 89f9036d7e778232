"""Which component of a program plays which part in an objective, told by the roles of axes alone.

The same program fits before and after its common passes: layouts move axes and padding adds classes, roles stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from fractions import Fraction
from itertools import takewhile

from mctc.diagnostics.near import listing
from mctc.ir.dims import Extent
from mctc.ir.ops.convolution import Conv2d
from mctc.ir.ops.elementwise import Cast
from mctc.ir.ops.leaf import ParameterOp
from mctc.ir.ops.linear import Linear
from mctc.ir.ops.shape import Pad, Reshape, Transpose
from mctc.ir.program import Derived, Function, Op, Program, Recipe, Source, Value
from mctc.ir.types import DType, Role, TensorType
from mctc.objectives.misfit import MisfitError
from mctc.objectives.taken import Result, frame_extent, named_for, static_width, taken
from mctc.records import dataclass


class Part(Enum):
    """What an input of a decoder is given in training."""

    TOKEN = "ids of what stands at each label"
    HEARD = "a result over time, all frames of it"
    FRAME = "the frame of a result over time that stands at a label; zeros where a token stands"
    ROW = "the same frame, or the row that a token names of the table that makes the classes"
    IS_TOKEN = "1 where a token stands, 0 where a frame stands"
    BESIDE = "an argument of the loss"


@dataclass(frozen=True)
class Hearing:
    """What runs over time: `encoder` takes `features` and what else is given, `between` take results by their names,
    or the encoder's first result. `results` are the types of all results."""

    encoder: Function
    features: Value
    between: tuple[Function, ...]
    results: Mapping[Result, TensorType]

    @property
    def beside(self) -> list[Value]:
        """Inputs of the encoder that nothing of the model makes."""
        return [value for value in self.encoder.inputs if value is not self.features]

    @property
    def first(self) -> Result:
        """The encoder's first result."""
        return Result(self.encoder.name, self.encoder.results[0][0])

    @property
    def names(self) -> set[str]:
        return {result.name for result in self.results}

    def taken(self, function: Function, value: Value) -> Result:
        """The result that an input of a component takes. Raises MisfitError where several could be meant."""
        before = [each.name for each in takewhile(lambda each: each is not function, (self.encoder, *self.between))]
        given = {result: type_ for result, type_ in self.results.items() if result.component in before}
        return taken(function.name, value.name, value.type, given)

    @property
    def stride(self) -> int:
        """How many frames of the features make one of the encoder's results."""
        return frame_rate(self.encoder, self.features, self.encoder.results[0][1].type).denominator


@dataclass(frozen=True)
class Frames:
    """Classes of frames, for CTC: this result."""

    hearing: Hearing
    result: Result
    classes: int


@dataclass(frozen=True)
class Labels:
    """A decoder over labels: what each of its inputs is given, and the table of the rows that it takes, if it does."""

    hearing: Hearing
    decoder: Function
    parts: Mapping[str, Part]
    table: str | None
    classes: int

    @property
    def among(self) -> bool:
        """Whether frames stand among the labels, in front of them."""
        return any(part in (Part.FRAME, Part.ROW) for part in self.parts.values())


@dataclass(frozen=True)
class FramesAndLabels:
    frames: Frames
    labels: Labels

    @property
    def classes(self) -> int:
        return min(self.frames.classes, self.labels.classes)


def frames(program: Program) -> Frames:
    over_labels = [f.name for f in program.functions.values() if takes(f, Role.LABEL)]
    if over_labels:
        raise MisfitError(
            f"CTC trains components over time; nothing would train {listing(over_labels)}",
            hint="`joint_ctc_attention` and `cross_entropy` train decoders too",
        )
    return frames_heard(program)


def labels(program: Program) -> Labels:
    decoders = [f for f in program.functions.values() if takes(f, Role.LABEL)]
    if len(decoders) != 1:
        raise MisfitError(
            f"it needs one decoder, a component that takes labels; this model has {components_told(program)}"
        )
    (decoder,) = decoders
    hearing = hearing_from([f for f in program.functions.values() if f is not decoder])
    result, value = decoder.results[0]
    classes = valid_classes(program, decoder, result)
    if classes is None or value.type.find(Role.LABEL) is None or value.type.find(Role.TIME) is not None:
        raise MisfitError(f"`{decoder.name}` gives no vocabulary for each label", hint=VOCABULARY)
    parts, table = _parts(program, hearing, decoder, classes)
    return Labels(hearing, decoder, parts, table, classes)


def frames_and_labels(program: Program) -> FramesAndLabels:
    found = labels(program)
    return FramesAndLabels(frames_heard(program), found)


VOCABULARY = "a result of classes has a vocabulary axis: `dim V: vocabulary = 30`"


# what runs over time


def hearing_from(over_time: Sequence[Function]) -> Hearing:
    """The components over time: the encoder, which is the first, and those between it and a decoder."""
    if not over_time or not takes(over_time[0], Role.TIME):
        raise MisfitError(
            "it needs an encoder, a component that takes features over time",
            hint="a model without one has no `train` section, and a loss of its own around the emitted module",
        )
    encoder, *between = over_time
    features = next((value for value in encoder.inputs if _counts_frames(value.type)), None)
    if features is None:
        raise MisfitError(f"no input of `{encoder.name}` holds features, a vector for each frame of T: f32[B, T, 80]")
    results = types_of(encoder)
    first = encoder.results[0][1].type
    if first.find(Role.TIME) is None or frame_rate(encoder, features, first).numerator != 1:
        raise MisfitError(f"the first result of `{encoder.name}` is not over time, a frame for every few of the input")
    hearing = Hearing(encoder, features, tuple(between), results)
    for function in between:
        for value in function.inputs:
            check_same(function, value, (given := hearing.taken(function, value)), results[given])
        results |= types_of(function)
    return hearing


def types_of(function: Function) -> dict[Result, TensorType]:
    return {Result(function.name, name): value.type for name, value in function.results}


def _counts_frames(type_: TensorType) -> bool:
    """Whether a type has a vector for each frame of T itself."""
    at = type_.find(Role.TIME)
    if at is None or not type_.dtype.is_float or (type_.find(Role.CHANNEL), type_.find(Role.FEATURE)) == (None, None):
        return False
    extent = type_.extents[at]
    return extent.symbols == {str(extent)}


def frame_rate(function: Function, features: Value, type_: TensorType) -> Fraction:
    """Frames of a type for each of the features; 0 where that is no number."""
    at, counted = type_.find(Role.TIME), features.type.find(Role.TIME)
    if at is None:
        return Fraction(0)
    assert counted is not None, "features are over time"
    symbol = str(features.type.extents[counted])
    rate = type_.extents[at].coefficient(symbol)
    return rate if type_.extents[at] == Extent.of(symbol) * rate else Fraction(0)


def frames_heard(program: Program) -> Frames:
    """The classes of frames of a model that may have components over labels too."""
    hearing = hearing_from([f for f in program.functions.values() if not takes(f, Role.LABEL)])
    over_time = (hearing.encoder, *hearing.between)
    found = [
        (Result(function.name, name), classes)
        for function in over_time
        for name, value in function.results
        if value.type.find(Role.TIME) is not None and (classes := valid_classes(program, function, name)) is not None
    ]
    if len(found) != 1:
        told = "no result over time" if not found else f"{len(found)} results over time"
        raise MisfitError(f"CTC needs one result of classes for each frame; {told} has a vocabulary", hint=VOCABULARY)
    ((result, classes),) = found
    first = hearing.encoder.results[0][1].type
    if frame_extent(hearing.results[result]) != frame_extent(first):
        raise MisfitError(f"{result} has other frames than the first result of `{hearing.encoder.name}`")
    return Frames(hearing, result, classes)


# what a decoder is given


def _parts(program: Program, hearing: Hearing, decoder: Function, classes: int) -> tuple[dict[str, Part], str | None]:
    parts: dict[str, Part] = {}
    tokens = [v for v in decoder.inputs if _is_ids(v.type) and _bound(v.type) in (None, classes)]
    if len(tokens) > 1:
        raise MisfitError(f"{listing(v.name for v in tokens)} of `{decoder.name}` could each be the labels' ids")
    table = None
    rows: Value | None = None
    if not tokens:
        table = classes_table(program, decoder)
        rows = next((v for v in decoder.inputs if table is not None and _is_row(v, hearing, program, table)), None)
        if rows is None:
            raise MisfitError(
                f"no input of `{decoder.name}` takes the labels", hint=f"give it `token: i32[B, U] < {classes}`"
            )
    for value in decoder.inputs:
        parts[value.name] = _part(value, hearing, tokens, rows)
    if Part.FRAME in parts.values() or Part.ROW in parts.values():
        for value in decoder.inputs:
            if parts[value.name] is Part.BESIDE and value.type.dtype is DType.F32 and static_width(value.type) is None:
                parts[value.name] = Part.IS_TOKEN
    for value in decoder.inputs:
        if parts[value.name] in (Part.HEARD, Part.FRAME):
            given = hearing.taken(decoder, value)
            check_same(decoder, value, given, hearing.results[given], frames=parts[value.name] is Part.HEARD)
    return parts, table if rows is not None else None


def _part(value: Value, hearing: Hearing, tokens: Sequence[Value], rows: Value | None) -> Part:
    if value in tokens:
        return Part.TOKEN
    if value.type.find(Role.TIME) is not None:
        return Part.HEARD
    if value is rows:
        return Part.ROW
    if value.name in hearing.names and value.type.find(Role.LABEL) is not None:
        return Part.FRAME
    return Part.BESIDE


def _is_row(value: Value, hearing: Hearing, program: Program, table: str) -> bool:
    """Whether an input over labels is as wide as the table and the encoder's first result, and none of its results."""
    width = program.sources[table][0].shape[1]
    first = hearing.encoder.results[0][1].type
    own = value.type.find(Role.LABEL) is not None and value.name not in hearing.names
    return own and static_width(value.type) == width == static_width(first)


def classes_table(program: Program, function: Function) -> str | None:
    """The checkpoint's tensor [classes, width] whose rows make a component's classes, or None."""
    value: Value | None = function.results[0][1]
    while value is not None and value.owner is not None and not isinstance(value.owner, (Linear, Conv2d)):
        value = next(value.owner.present(), None)
    maker = None if value is None else value.owner
    name = _parameter(maker.weight) if isinstance(maker, (Linear, Conv2d)) else None
    source = None if name is None else _source(program.parameters[name].recipe)
    return source.name if source is not None and source.type.rank == 2 else None


def _parameter(value: Value) -> str | None:
    op: Op | None = value.owner
    while isinstance(op, (Reshape, Transpose, Pad, Cast)):
        op = op.x.owner
    return str(op.parameter) if isinstance(op, ParameterOp) else None


def _source(recipe: Recipe) -> Source | None:
    while isinstance(recipe, Derived):
        operands = [each for each in recipe.operands if each is not None]
        if len(operands) != 1:
            return None
        (recipe,) = operands
    return recipe


# types


def takes(function: Function, role: Role) -> bool:
    """Whether an input grows along the role: so many labels as there are of a fixed number are features of a frame."""
    axes = [(value.type, value.type.find(role)) for value in function.inputs]
    return any(axis is not None and not type_.extents[axis].is_static for type_, axis in axes)


def components_told(program: Program) -> str:
    """The components of a program and what each runs over, for a message."""

    def over(function: Function) -> str:
        roles = [role.value for role in (Role.TIME, Role.LABEL) if takes(function, role)]
        return f"`{function.name}` over {' and '.join(roles)}" if roles else f"`{function.name}`"

    return ", ".join(map(over, program.functions.values()))


def _is_ids(type_: TensorType) -> bool:
    return type_.dtype is DType.I32 and type_.find(Role.LABEL) is not None


def _bound(type_: TensorType) -> int | None:
    return type_.bound.value if type_.bound is not None and type_.bound.is_static else None


def valid_classes(program: Program, function: Function, result: str) -> int | None:
    """Entries of the vocabulary axis of a result that are no padding."""
    padded = (v.valid for v in program.vocabularies if (v.function, v.result) == (function.name, result))
    axes = dict(function.results)[result].type.axes
    own = (axis.extent.value for axis in axes if axis.role is Role.VOCABULARY and axis.extent.is_static)
    return next(padded, next(own, None))


def check_ids(function: Function, value: Value, classes: int) -> None:
    """Raises MisfitError where an input does not take the ids of all classes."""
    if not _is_ids(value.type):
        raise MisfitError(
            f"`{value.name}` of `{function.name}` are no ids of labels", hint=f"give it `token: i32[B, U] < {classes}`"
        )
    if (bound := _bound(value.type)) is not None and bound < classes:
        raise MisfitError(f"`{value.name}` of `{function.name}` is below {bound}, but there are {classes} classes")


def check_same(
    function: Function, value: Value, result: Result, given: TensorType, *, frames: bool = True, by_name: bool = True
) -> None:
    """Raises MisfitError where a component does not take what another one gives: its channels, or its frames.

    by_name: whether the result would be another one if that had the input's name."""
    same = static_width(value.type) == static_width(given)
    if frames:
        same = same and frame_extent(value.type) == frame_extent(given)
    if not same:
        raise MisfitError(
            f"`{value.name}` of `{function.name}` is {shown(value.type)}, but {result} is given to it, {shown(given)}",
            hint=named_for(value.name) if by_name else None,
        )


def shown(type_: TensorType) -> str:
    """A type as a spec writes it, but with the extents that are known."""
    return f"{type_.dtype.value}[{', '.join(map(str, type_.extents))}]"
