"""Every value with roles becomes (batch, channel, middle, time); no transpose is left."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mctc.ir.attribute_value import Attributes
from mctc.ir.dims import Extent
from mctc.ir.op import InferenceError
from mctc.ir.ops.attention import Attention
from mctc.ir.ops.convolution import Conv1d, Conv2d
from mctc.ir.ops.elementwise import Binary
from mctc.ir.ops.leaf import Constant
from mctc.ir.ops.linear import Linear, MatMul
from mctc.ir.ops.loop import ScanState
from mctc.ir.ops.norm import BatchNorm, LayerNorm, RmsNorm
from mctc.ir.ops.position import PositionalEmbedding
from mctc.ir.ops.recurrent import Cell
from mctc.ir.ops.relative_attention import RelativeAttention
from mctc.ir.ops.scan import SelectiveScan
from mctc.ir.ops.shape import Concat, Reshape, Split, SplitChannels, Transpose
from mctc.ir.ops.ssd import Ssd
from mctc.ir.program import Function, Op, Program, Value
from mctc.ir.types import Axis, Role, TensorType
from mctc.passes.layout import UNIT, Layout, aligned, has_roles, moved_axis, plain_axes, substance
from mctc.rewrite.base import Context, Pass, Reshapes
from mctc.rewrite.fold import fold_parameters
from mctc.rewrite.pattern import Pattern
from mctc.rewrite.rewriter import Rewriter, rewrite_functions

OF_VECTORS = (BatchNorm, Cell, Conv1d, Conv2d, LayerNorm, Linear, RmsNorm, SelectiveScan, Ssd)
"""Ops that take vectors beside what they compute on: weights and biases, which have no place in a layout."""


class ChannelsFirst(Pass):
    """Lays every value out as (batch, channel, feature or label, time), the order the Neural Engine computes in.

    Ops find their axes by role, so most are the same ops on other types. A conv1d becomes one of two dimensions,
    transposes vanish, and vectors that met the last axis are reshaped to meet the channel axis (ANE-LY-001, ANE-LY-004,
    ANE-LY-005).
    """

    name = "channels-first"
    promise = Reshapes()

    def run(self, program: Program, context: Context) -> Program:
        def rebuild(new: Program, function: Function) -> Function:
            layout = Layout.of_function(function)
            rule = Pattern(Op, lambda op, to: _laid_out(op, to, layout))
            return Rewriter(new, function, self.name, context).rebuild(rule, layout)

        return fold_parameters(rewrite_functions(program, rebuild), self.name)


def _laid_out(op: Op, to: Rewriter, layout: Layout) -> Sequence[Value] | None:
    if not any(has_roles(value.type) for value in (*op.present(), *op.results)):
        return None
    made = _with_vectors(op, to, layout)
    to.note(_words(op, made))
    return [_conform(op, old.type, value, to, layout) for old, value in zip(op.results, made)]


def _with_vectors(op: Op, to: Rewriter, layout: Layout) -> Sequence[Value]:
    """What an op becomes; a vector of channels that it takes as a weight or bias stays a vector."""
    laid = {}
    if isinstance(op, OF_VECTORS):
        states = [op.operand(name) for name in op.hidden] if isinstance(op, Cell) else []
        vectors = (each for each in op.present() if each.type.roles == (Role.CHANNEL,) and each not in states)
        laid = {vector: to[vector] for vector in vectors}
    for old, new in laid.items():
        to.bind(old, to.reshaped(new, old.type.with_axes((Axis(Role.PLAIN, old.type.extents[0]),))))
    made = _build(op, to, layout)
    for old, new in laid.items():
        to.bind(old, new)
    return made


def _build(op: Op, to: Rewriter, layout: Layout) -> Sequence[Value]:
    """What an op becomes, by its type."""
    match op:
        case Binary():
            return _binary(op, to, layout)
        case Attention() | RelativeAttention() | Cell() | PositionalEmbedding() | SelectiveScan() | Ssd():
            return _along_sequence(op, to, layout)
        case Constant():
            return _constant(op, to, layout)
        case Conv1d():
            return _conv1d(op, to, layout)
        case ScanState():
            return scan_state(op, to.maybe(op.start), layout(op.result.type), to)
        case Transpose():  # roles say where axes go, so the laid-out value before and after is the same
            return [to[op.x]]
        case Reshape():
            return _reshape(op, to, layout)
        case SplitChannels():
            return _split_channels(op, to, layout)
        case MatMul():
            return _matmul(op, to)
    return _again(op, to, layout)


def _words(op: Op, made: Sequence[Value]) -> str:
    axes, owner = ", ".join(role.value for role in made[0].type.roles), made[0].owner
    moved = isinstance(op, (Transpose, Reshape))
    name = "" if moved or owner is None or owner.name == op.name else owner.name
    return f"{op.name} became {name} on ({axes})" if name else f"laid out as ({axes})"


def _again(op: Op, rewriter: Rewriter, layout: Layout) -> Sequence[Value]:
    """The same op on the new operands; an axis given by position is found again by its role."""
    attributes, axis = op.attributes, op.attributes.get("axis")
    if isinstance(axis, int) and not isinstance(axis, bool):
        attributes = {**attributes, "axis": moved_axis(next(op.present()).type, axis, layout)}
    return rewriter.emit(type(op), *rewriter.operands(op), **attributes)


def _along_sequence(op: Op, rewriter: Rewriter, layout: Layout) -> Sequence[Value]:
    """The same op; its operands have their sequence last, labels too, and the state of a scan its features."""
    operands = [None if old is None else _sequence_last(old, rewriter, layout) for old in op.operands]
    for index, declared in enumerate(op.fields):
        state = operands[index] if declared.name == "h" else None
        if state is not None and state.type.roles[-2:] == (Role.FEATURE, Role.UNIT):
            *outer, feature, unit = state.type.axes
            operands[index] = rewriter.reshaped(state, state.type.with_axes((*outer, unit, feature)))
    return rewriter.emit(type(op), *operands, **op.attributes)


def _sequence_last(old: Value, rewriter: Rewriter, layout: Layout) -> Value:
    """The new value; one with labels and no time is reshaped so that labels stand last, which moves no entry."""
    if old.type.find(Role.LABEL) is None or not has_roles(old.type):
        return rewriter[old]
    return rewriter.reshaped(rewriter[old], layout.sequence_last(old.type))


def _constant(op: Constant, rewriter: Rewriter, layout: Layout) -> Sequence[Value]:
    from mctc.evaluate.adapt import adapt  # few programs have constants with roles

    old, new = op.result.type, layout(op.result.type)
    array = adapt(np.asarray(op.value), old, new)
    return rewriter.emit(Constant, value=array, dtype=op.dtype.value, roles=tuple(role.value for role in new.roles))


def scan_state(op: ScanState, start: Value | None, type_: TensorType, to: Rewriter) -> Sequence[Value]:
    """The same state with the axes of `type_`."""
    return to.emit(ScanState, start, axes=tuple((axis.role.value, axis.extent) for axis in type_.axes), state=op.state)


def _conv1d(op: Conv1d, rewriter: Rewriter, layout: Layout) -> Sequence[Value]:
    """conv1d with weight [out, in, k] is the convolution of two dimensions with weight [out, in, 1, k]."""
    x, weight = _sequence_last(op.x, rewriter, layout), rewriter[op.weight]
    if x.type.sequence != x.type.rank - 1 and weight.type.extents[2] != Extent.of(1):
        raise InferenceError(
            "a convolution along time has no place where frames meet labels in a component that goes label by label: "
            "frames are rows there; convolve them before they meet labels"
        )
    out, into, kernel = weight.type.axes
    tall = rewriter.reshaped(weight, weight.type.with_axes([out, into, *plain_axes(1), kernel]))
    made: Attributes = {"stride": (1, op.stride), "dilation": (1, op.dilation), "groups": op.groups, "pad": op.pad}
    return rewriter.emit(Conv2d, x, tall, rewriter.maybe(op.bias), **made)


def _reshape(op: Reshape, rewriter: Rewriter, layout: Layout) -> Sequence[Value]:
    """A reshape that stacks frames, renames axes, or adds and drops axes of extent 1. More would need a transpose."""
    old, x = op.x, rewriter[op.x]
    before, after = substance(old.type), substance(op.result.type)
    new = layout(op.result.type)
    if not has_roles(old.type):
        return [_first_roles(x, op.result.type, new, rewriter)]
    if x.type.sequence == x.type.rank - 1:
        stacked, spread = regrouped_frames(old.type, op.result.type)
        if stacked:
            return [_stack(rewriter, x, stacked)]
        if spread and x.type.axes[2].extent == UNIT.extent:
            return [_spread(rewriter, x, spread)]
        if frames_of_features(old.type, op.result.type):
            return [_beside(rewriter, rewriter.emit(Split, x, parts=x.type.extents[2].value, axis=2))]
    renamed = {a.role: b for a, b in zip(before, after)}
    moved = [renamed[axis.role] for axis in substance(x.type) if axis.role in renamed]
    if [a.extent for a in before] != [a.extent for a in after] or moved != substance(new):
        raise InferenceError(
            f"reshaping {old.type} to {op.result.type} regroups entries across axes, which would need a transpose in "
            "the channels-first layout; use split_channels or merge_channels"
        )
    return [rewriter.reshaped(x, new)]


def _first_roles(x: Value, type_: TensorType, new: TensorType, rewriter: Rewriter) -> Value:
    """A parameter whose axes get roles: reshaped, and transposed where the layout has another order of them."""
    plain = rewriter.reshaped(x, type_.with_axes(plain_axes(*type_.extents)))
    placed = [role for role in new.roles if role in type_.roles]
    order = tuple(sorted(range(type_.rank), key=lambda axis: placed.index(type_.roles[axis])))
    moved = plain if order == tuple(range(type_.rank)) else rewriter.op(Transpose, plain, order=order)
    return rewriter.reshaped(moved, new)


def regrouped_frames(before: TensorType, after: TensorType) -> tuple[int, int]:
    """(n, 0) where (.., T, C) becomes (.., T/n, n*C), n consecutive frames side by side; (0, n) where the inverse does;
    else zeros. A type without channels has one."""
    (*outer, frames, channels), (*others, new_frames, new_channels) = _frames_last(before), _frames_last(after)
    roles = (frames.role, new_frames.role)
    if outer != others or roles[0] is not roles[1] or roles[0] not in (Role.TIME, Role.LABEL):
        return 0, 0
    for at, (many, few, narrow, wide) in enumerate(
        ((frames, new_frames, channels, new_channels), (new_frames, frames, new_channels, channels))
    ):
        n = wide.extent.value // narrow.extent.value
        if n > 1 and narrow.extent * n == wide.extent and few.extent * n == many.extent:
            return (0, n) if at else (n, 0)
    return 0, 0


def frames_of_features(before: TensorType, after: TensorType) -> bool:
    """Whether (.., T, F, C) becomes (.., T*F, C), each feature a frame."""
    if len(before.axes) != len(after.axes) + 1 or before.sequence is None or before.axes[-2].role is not Role.FEATURE:
        return False
    *outer, frames, features, channels = before.axes
    return after.axes == (*outer, Axis(frames.role, frames.extent * features.extent), channels)


def _frames_last(type_: TensorType) -> list[Axis]:
    """Axes that decide the order of entries, with the channels behind the frames even if there is one of either."""
    axes = list(type_.axes)
    if not axes[-1].role.is_channel:
        axes.append(Axis(Role.CHANNEL, Extent.of(1)))
    outer = [axis for axis in axes[:-2] if axis.extent != UNIT.extent]
    return [UNIT, *outer, *axes[-2:]]


def _stack(rewriter: Rewriter, x: Value, n: int) -> Value:
    """Frame k of every n, for k = 0 ... n-1, each picked by a depthwise convolution, joined along the channels. Of a
    single channel, one convolution picks them all."""
    channels = x.type.extents[1].value
    if channels == 1:
        return rewriter.op(Conv2d, x, rewriter.constant(np.eye(n, dtype=np.float32)[:, None, None]), stride=(1, n))
    picked = []
    for k in range(n):
        pick = np.zeros((channels, 1, 1, n), np.float32)
        pick[..., k] = 1
        picked.append(rewriter.op(Conv2d, x, rewriter.constant(pick), stride=(1, n), groups=channels))
    return rewriter.op(Concat, *picked, axis="channel")


def _spread(rewriter: Rewriter, x: Value, n: int) -> Value:
    """The n parts of the channels side by side in an axis behind time, which then goes into time: no transpose."""
    return _beside(rewriter, rewriter.emit(Split, x, parts=n, axis=1))


def _beside(rewriter: Rewriter, parts: Sequence[Value]) -> Value:
    """Frame by frame one of each part."""
    type_ = parts[0].type
    batch, channel, _, time = type_.axes
    tall = type_.with_axes((batch, channel, time, Axis(Role.FEATURE, Extent.of(1))))
    beside = rewriter.op(Concat, *(rewriter.reshaped(part, tall) for part in parts), axis=3)
    all_frames = Axis(time.role, time.extent * len(parts))
    return rewriter.reshaped(beside, type_.with_axes((batch, channel, UNIT, all_frames)))


def _binary(op: Binary, rewriter: Rewriter, layout: Layout) -> Sequence[Value]:
    """Broadcasting by position from here on: operands of equal rank, plain vectors along the axis that they met."""
    rank = layout(op.result.type).rank
    operands: list[Value] = []
    for old, other in ((op.left, op.right), (op.right, op.left)):
        value = rewriter[old]
        if has_roles(old.type):
            operands.append(rewriter.reshaped(value, layout.meeting(old.type, op.result.type, rank)))
        elif old.type.rank and has_roles(other.type):
            operands.append(aligned(rewriter, value, other.type, layout(other.type, rank)))
        else:
            operands.append(value)
    return rewriter.emit(type(op), *operands)


def _matmul(op: MatMul, rewriter: Rewriter) -> Sequence[Value]:
    """x @ w over the channels is a linear layer; no other product has a place in this layout."""
    left, right = op.left, op.right
    if has_roles(right.type) or right.type.rank != 2 or not left.type.roles[-1].is_channel:
        raise InferenceError(
            f"a matrix product of {left.type} and {right.type} has no channels-first form; use attention for products "
            "of frames, and linear for products with weights"
        )
    weight = rewriter.op(Transpose, rewriter[right], order=(1, 0))
    return rewriter.emit(Linear, rewriter[left], weight)


def _split_channels(op: SplitChannels, rewriter: Rewriter, layout: Layout) -> Sequence[Value]:
    """The features take the place between channels and time, which labels may hold already."""
    features = op.result.type.find(Role.FEATURE)
    several = features is not None and op.result.type.extents[features] != Extent.of(1)
    if several and op.x.type.find(Role.LABEL) is not None and not layout.over_labels:
        raise InferenceError(
            "channels can't be split into features where frames meet labels: the layout has one place for both; "
            "split them in a component that has time or labels alone"
        )
    return _again(op, rewriter, layout)


def _conform(op: Op, old: TensorType, value: Value, rewriter: Rewriter, layout: Layout) -> Value:
    """The value as the layout wants it: unit axes may move, nothing else may."""
    if not has_roles(old):
        return value
    wanted = layout(old)
    if value.type == wanted:
        return value
    if substance(value.type) != substance(wanted) or value.type.dtype is not wanted.dtype:
        raise InferenceError(f"{op.name} gave {value.type} where the channels-first layout wants {wanted}")
    return rewriter.reshaped(value, wanted)
