"""Parts of a projection are turned from channels into features together."""

from __future__ import annotations

from mctc.hardware.devices import find_device
from mctc.ir.ops.convolution import Conv2d
from mctc.ir.ops.shape import Split
from mctc.ir.program import Op, Program, Value
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.fold import fold_parameters
from mctc.rewrite.pattern import Outcome
from mctc.rewrite.rewriter import Rewriter, rewrite


class RegroupOnce(Pass):
    """Where two parts of a split projection are reshaped to features, all of it is, before the split.

    Mamba's B and C become features, its low-rank step size is projected by a 1x1 convolution. That one becomes a
    convolution over all features, R by 1, of the same weights: one reshape instead of two for each block.
    """

    name = "regroup-once"
    promise = Exact()
    stage = "deploy"
    after = ("lower-selective-scan", "fold-deploy-constants")
    before = ("pack-states",)

    def run(self, program: Program, context: Context) -> Program:
        tallest = find_device(context.device).family.kernel_column

        def rule(op: Op, rewriter: Rewriter) -> Outcome:
            if isinstance(op, Split) and _worthwhile(op, rewriter, tallest):
                return _split_features(op, rewriter)
            source = _split_before(op, rewriter, tallest)
            if source is None:
                return None
            if op.name == "reshape":
                return rewriter.reshaped(rewriter[source], op.result.type)
            return _column_convolution(op, rewriter)

        return fold_parameters(rewrite(program, self.name, rule), self.name)


def _worthwhile(op: Split, rewriter: Rewriter, tallest: int) -> bool:
    """Whether all parts of a split of channels can be features, at least two of them by a reshape now."""
    x = op.x
    if x.type.rank != 4 or not x.type.is_static or op.position != 1 or x.type.shape[2] != 1:
        return False
    users = [rewriter.only_use(part) for part in op.results]
    kinds = [_kind(part, user, tallest) for part, user in zip(op.results, users)]
    return all(kinds) and kinds.count("reshape") >= 2


def _kind(part: Value, user: Op | None, tallest: int) -> str | None:
    if user is None:
        return None
    if user.name == "reshape":
        _, channels, _, frames = part.type.shape
        return "reshape" if user.result.type.shape == (1, 1, channels, frames) else None
    if not isinstance(user, Conv2d) or user.x is not part or part.type.shape[1] > tallest:
        return None
    weight = user.weight
    plain = all(user.attributes[name] == default for name, default in user.defaults.items())
    return "conv2d" if plain and weight.type.shape[2:] == (1, 1) else None


def _split_before(op: Op, rewriter: Rewriter, tallest: int) -> Value | None:
    """The old value that op reads from a split that is turned to features, or None."""
    source = op.operands[0] if op.name in ("reshape", "conv2d") else None
    owner = source.owner if source is not None else None
    return source if isinstance(owner, Split) and _worthwhile(owner, rewriter, tallest) else None


def _split_features(op: Op, rewriter: Rewriter) -> tuple[Value, ...]:
    (x,) = rewriter.operands(op)
    assert x is not None
    _, channels, _, frames = x.type.shape
    last = x.type.axes[3].role.value
    rows = rewriter.op("reshape", x, axes=(("batch", 1), ("channel", 1), ("feature", channels), (last, frames)))
    rewriter.note("the projection became features before it is split")
    return rewriter.emit("split", rows, sizes=tuple(part.type.shape[1] for part in op.results), axis=2)


def _column_convolution(op: Op, rewriter: Rewriter) -> Value:
    rows, weight, bias = rewriter.operands(op)
    assert rows is not None
    assert weight is not None
    out, into = weight.type.shape[:2]
    kernel = rewriter.op("reshape", weight, axes=(("plain", out), ("plain", 1), ("plain", into), ("plain", 1)))
    rewriter.note(f"the 1x1 conv2d over {into} channels became one over {into} features")
    return rewriter.reshaped(rewriter.op("conv2d", rows, kernel, bias), op.result.type)
