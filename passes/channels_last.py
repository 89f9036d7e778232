"""Laid-out values as (batch, time, label, feature, channel), axes of extent 1 that a layout added left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mctc.evaluate.adapt import adapt
from mctc.ir.attribute_value import Attributes
from mctc.ir.op import InferenceError
from mctc.ir.ops.convolution import Conv1d, Conv2d, height_axis, width_axis
from mctc.ir.ops.elementwise import Binary
from mctc.ir.ops.leaf import Constant, parameter_of
from mctc.ir.ops.linear import Linear
from mctc.ir.ops.loop import ScanState, held_type
from mctc.ir.ops.shape import Reshape, Transpose, product
from mctc.ir.program import Function, Op, Program, Value
from mctc.ir.recipes import recipe_key, simplified
from mctc.ir.types import Axis, Role, TensorType
from mctc.passes.channels_first import scan_state
from mctc.passes.layout import UNIT, aligned, has_roles, moved_axis, substance
from mctc.rewrite.base import Context, Pass, Reshapes
from mctc.rewrite.fold import fold_parameters
from mctc.rewrite.pattern import Pattern
from mctc.rewrite.rewriter import Rewriter, drop_dead, rewrite_functions

ORDER = (Role.BATCH, Role.TIME, Role.LABEL, Role.FEATURE, Role.CHANNEL)


class ChannelsLast(Pass):
    """Lays values out as (batch, time, label, feature, channel) for a stack whose layers take channels last.

    A 1x1 convolution becomes a linear layer and one along frames alone a conv1d; unit axes vanish. What a scan carries
    stays (batch, channel, feature). Other stacks keep the layout of channels-first.
    """

    name = "channels-last"
    promise = Reshapes()
    stage = "number"

    def run(self, program: Program, context: Context) -> Program:
        if context.stack != "mlx":
            return program

        def rebuild(new: Program, function: Function) -> Function:
            return Rewriter(new, function, self.name, context).rebuild(Pattern(Op, _laid_out), last)

        return _merged(fold_parameters(rewrite_functions(program, rebuild), self.name))


def last(type_: TensorType) -> TensorType:
    """The type with its axes in ORDER; a type without roles stays as it is. Raises InferenceError for two of a role."""
    if not has_roles(type_):
        return type_
    axes = {_key(axis.role): axis for axis in type_.axes if axis.role is not Role.UNIT}
    if len(axes) < sum(axis.role is not Role.UNIT for axis in type_.axes) or Role.PLAIN in axes:
        raise InferenceError(f"{type_} has no channels-last layout: a role occurs twice, or an axis has none")
    order = ORDER if type_.sequence is not None else (Role.BATCH, Role.CHANNEL, Role.FEATURE)
    return type_.with_axes(axes[role] for role in order if role in axes)


def _key(role: Role) -> Role:
    return Role.CHANNEL if role is Role.VOCABULARY else role


def _laid_out(op: Op, to: Rewriter) -> Sequence[Value] | None:
    if not any(has_roles(value.type) for value in (*op.present(), *op.results)):
        return None
    made = _build(op, to)
    to.note(f"laid out as ({', '.join(role.value for role in made[0].type.roles)})")
    return [_placed(value, last(old.type), to) for old, value in zip(op.results, made)]


def _build(op: Op, to: Rewriter) -> Sequence[Value]:
    match op:
        case Binary():
            return _binary(op, to)
        case Constant():
            return _constant(op, to)
        case Conv2d():
            return _convolution(op, to)
        case ScanState():
            type_ = last(op.result.type)
            return scan_state(op, None if op.start is None else _placed(to[op.start], held_type(type_), to), type_, to)
        case Transpose():
            return [to[op.x]]
        case Reshape():
            return [_reshape(op, to)]
    attributes = dict(op.attributes)
    if isinstance(axis := attributes.get("axis"), int) and not isinstance(axis, bool):
        attributes["axis"] = moved_axis(next(op.present()).type, axis, last)
    return to.emit(type(op), *to.operands(op), **attributes)


def _binary(op: Binary, to: Rewriter) -> Sequence[Value]:
    """Axes meet by role; plain vectors are brought to the axes that they met by position."""
    operands = []
    for old, other in ((op.left, op.right), (op.right, op.left)):
        plain = old.type.rank and not has_roles(old.type) and has_roles(other.type)
        operands.append(aligned(to, to[old], other.type, last(other.type)) if plain else to[old])
    return to.emit(type(op), *operands)


def _constant(op: Constant, to: Rewriter) -> Sequence[Value]:
    old, new = op.result.type, last(op.result.type)
    array = adapt(np.asarray(op.value), old, new)
    return to.emit(Constant, value=array, dtype=op.dtype.value, roles=tuple(role.value for role in new.roles))


def _convolution(op: Conv2d, to: Rewriter) -> Sequence[Value]:
    x, weight, bias, kernel = to[op.x], to[op.weight], to.maybe(op.bias), op.weight.type
    moves = (*op.stride, *op.dilation, *op.pad, *op.pad_feature, op.groups) != (1, 1, 1, 1, 0, 0, 0, 0, 1)
    if kernel.shape[2:] == (1, 1) and not moves:
        return to.emit(Linear, x, to.reshaped(weight, kernel.with_axes(kernel.axes[:2])), bias)
    height, width = op.x.type.axes[height_axis(op.x.type)], op.x.type.axes[width_axis(op.x.type)]
    along = kernel.shape[2] == 1 and (op.stride[0], op.pad_feature) == (1, (0, 0))
    if along and height.role is Role.UNIT and x.type.sequence is not None:
        out, into, _, frames = kernel.axes
        flat = to.reshaped(weight, kernel.with_axes((out, into, frames)))
        made: Attributes = {"stride": op.stride[1], "dilation": op.dilation[1], "groups": op.groups, "pad": op.pad}
        return to.emit(Conv1d, x, flat, bias, **made)
    if width.role is Role.UNIT:
        raise InferenceError(f"{op.x.type} has no frames, and a kernel of {list(kernel.shape[2:])} has no form without")
    four = last(op.x.type.with_axes(replace(a, role=Role.FEATURE) if a is height else a for a in op.x.type.axes))
    return to.emit(Conv2d, to.reshaped(x, four) if four.rank > x.type.rank else x, weight, bias, **op.attributes)


def _reshape(op: Reshape, to: Rewriter) -> Value:
    """Entries as they lay before, then the reshape, then the new order: a transpose where one is not the other."""
    before, after = substance(op.x.type), substance(op.result.type)
    want = last(op.result.type)
    if [axis.extent for axis in before] == [axis.extent for axis in after]:
        renamed = {old.role: new for old, new in zip(before, after)}
        kept = [renamed[axis.role] for axis in substance(to[op.x].type)]
        if kept == substance(want):
            return to.reshaped(to[op.x], want)
    if _is_beside_channels(before, after) and _goes_last(before, to[op.x].type) and _goes_last(after, want):
        return to.reshaped(to[op.x], want)
    row_major = _ordered(to[op.x], substance(op.x.type), to)
    return _placed(to.reshaped(row_major, op.result.type), want, to)


def _is_beside_channels(before: Sequence[Axis], after: Sequence[Axis]) -> bool:
    """Whether axes are regrouped in front of the channels and behind them, and none with them: frames in parts."""
    at, to = _channels(before), _channels(after)
    if at is None or to is None or before[at].extent != after[to].extent:
        return False
    return product(axis.extent for axis in before[:at]) == product(axis.extent for axis in after[:to])


def _goes_last(axes: Sequence[Axis], type_: TensorType) -> bool:
    """Whether a type has the axes in their order, but the channels last."""
    return [axis.role for axis in substance(type_)] == [a.role for a in sorted(axes, key=_is_channels)]


def _is_channels(axis: Axis) -> bool:
    return _key(axis.role) is Role.CHANNEL


def _channels(axes: Sequence[Axis]) -> int | None:
    return next((index for index, axis in enumerate(axes) if _is_channels(axis)), None)


def _placed(value: Value, wanted: TensorType, to: Rewriter) -> Value:
    """The value as the layout wants it: axes in its order, those of extent 1 as it has them."""
    if value.type == wanted or not has_roles(wanted):
        return value
    return to.reshaped(_ordered(value, substance(wanted), to), wanted)


def _ordered(value: Value, wanted: Sequence[Axis], to: Rewriter) -> Value:
    """The value with its axes of several entries in the order of `wanted`, by their roles."""
    roles = [_key(axis.role) for axis in wanted]
    have = [index for index, axis in enumerate(value.type.axes) if axis.extent != UNIT.extent]
    if sorted(_key(value.type.roles[index]).value for index in have) != sorted(role.value for role in roles):
        raise InferenceError(f"{value.type} has other axes than {[str(axis) for axis in wanted]}")
    moved = sorted(have, key=lambda index: roles.index(_key(value.type.roles[index])))
    if moved == have:
        return value
    order = [index for index in range(value.type.rank) if index not in have]
    return to.op(Transpose, value, order=(*order, *moved))


def _merged(program: Program) -> Program:
    """Parameters of equal recipes as one: a table that is an output layer too is stored once. One that is made of
    another, `table.slice`, gets a name that lies in no tensor: `table_slice`."""
    first: dict[object, str] = {}
    parameters = program.parameters
    keys = {name: (recipe_key(simplified(p.recipe)), p.quantization) for name, p in parameters.items()}
    same = {name: _beside(first.setdefault(key, name), program) for name, key in keys.items()}
    named = {same[name]: replace(each, name=same[name]) for name, each in reversed(parameters.items())}
    program = replace(program, parameters={**parameters, **named})
    if all(name == kept for name, kept in same.items()):
        return program

    def rebuild(new: Program, function: Function) -> Function:
        def rule(op: Op, to: Rewriter) -> Value | None:
            name = parameter_of(op.results[0])
            return to.parameter(same[name]) if name and same[name] != name else None

        return Rewriter(new, function, ChannelsLast.name).rebuild(rule)

    return drop_dead(rewrite_functions(program, rebuild))


def _beside(name: str, program: Program) -> str:
    """A name that begins with no tensor's."""
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        if (tensor := ".".join(parts[:end])) in program.sources:
            return "_".join((tensor, *parts[end:]))
    return name
