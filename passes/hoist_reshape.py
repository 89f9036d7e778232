"""Parts of a projection are turned from channels into features together."""

from __future__ import annotations

from mctc.hardware.devices import find_device
from mctc.ir.ops.convolution import Conv2d
from mctc.ir.ops.shape import Reshape, Split
from mctc.ir.program import Op, Program, Value
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.fold import fold_parameters
from mctc.rewrite.pattern import Outcome, Pattern, Refuse, first_of
from mctc.rewrite.rewriter import Rewriter, rewrite


class HoistReshape(Pass):
    """Where two parts of a split projection are reshaped to features, all of it is, before the split.

    Mamba's B and C become features, its low-rank step size is projected by a 1x1 convolution. That one becomes a
    convolution over all features, R by 1, of the same weights: one reshape instead of two for each block.
    """

    name = "hoist-reshape"
    promise = Exact()
    stage = "deploy"
    after = ("lower-selective-scan", "fold-deploy-constants")
    before = ("pack-states",)

    def run(self, program: Program, context: Context) -> Program:
        tallest = find_device(context.device).family.kernel_column

        rule = first_of(
            Pattern(Split, lambda op, to: _split_features(op, to, tallest)),
            Pattern(Reshape, lambda op, to: _same_features(op, to, tallest)),
            Pattern(Conv2d, lambda op, to: _column_convolution(op, to, tallest)),
        )
        return fold_parameters(rewrite(program, self.name, rule, context=context), self.name)


def _split_features(op: Split, to: Rewriter, tallest: int) -> Outcome:
    """The split of what became features, if that is worthwhile."""
    if against := _reason_against(op, to, tallest):
        return Refuse(against) if _reshaped(op, to) else None
    x = to[op.x]
    _, channels, _, frames = x.type.shape
    last = x.type.axes[3].role.value
    rows = to.op(Reshape, x, axes=(("batch", 1), ("channel", 1), ("feature", channels), (last, frames)))
    to.note("the projection became features before it is split")
    return to.emit(Split, rows, sizes=tuple(part.type.shape[1] for part in op.results), axis=2)


def _same_features(op: Reshape, to: Rewriter, tallest: int) -> Value | None:
    """A reshape to features of what is features now."""
    return to.reshaped(to[op.x], op.result.type) if _of_features(op.x, to, tallest) else None


def _column_convolution(op: Conv2d, to: Rewriter, tallest: int) -> Value | None:
    """A 1x1 convolution of what is features now."""
    if not _of_features(op.x, to, tallest):
        return None
    out, into = to[op.weight].type.shape[:2]
    axes = (("plain", out), ("plain", 1), ("plain", into), ("plain", 1))
    kernel = to.op(Reshape, to[op.weight], axes=axes)
    to.note(f"the 1x1 conv2d over {into} channels became one over {into} features")
    return to.reshaped(to.op(Conv2d, to[op.x], kernel, to.maybe(op.bias)), op.result.type)


def _of_features(source: Value, to: Rewriter, tallest: int) -> bool:
    """Whether an old value comes from a split that is turned to features."""
    return isinstance(source.owner, Split) and _reason_against(source.owner, to, tallest) is None


def _reason_against(op: Split, to: Rewriter, tallest: int) -> str | None:
    """Why the parts of a split of channels can't all be features, or are not worth it; two reshapes are."""
    x = op.x.type
    if x.rank != 4 or not x.is_static or op.position != 1 or x.shape[2] != 1:
        return f"it does not split the channels of (batch, channel, 1, frames), but {x}"
    users = [to.only_use(part) for part in op.results]
    for number, (part, user) in enumerate(zip(op.results, users)):
        if not _to_features(part, user) and not _by_columns(part, user, tallest):
            read = "by several ops" if user is None else f"by a {user.name} that features do not go into"
            return f"part {number} is read {read}"
    return None if len(_reshaped(op, to)) >= 2 else "one reshape to features is no more than the one it would take"


def _reshaped(op: Split, to: Rewriter) -> list[Value]:
    """The parts that become features now."""
    return [part for part in op.results if part.type.rank == 4 and _to_features(part, to.only_use(part))]


def _to_features(part: Value, user: Op | None) -> bool:
    if not isinstance(user, Reshape):
        return False
    _, channels, _, frames = part.type.shape
    return user.result.type.shape == (1, 1, channels, frames)


def _by_columns(part: Value, user: Op | None, tallest: int) -> bool:
    """Whether a part is read by a plain 1x1 convolution whose kernel may be a column instead."""
    match user:
        case Conv2d(x=x, weight=weight, stride=(1, 1), dilation=(1, 1), groups=1, pad=(0, 0), pad_feature=(0, 0)):
            return x is part and weight.type.shape[2:] == (1, 1) and part.type.shape[1] <= tallest
    return False
