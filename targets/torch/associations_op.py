"""A scan over a matrix of keys and values that queries alone read, as one op: a module computes it without a loop."""

from __future__ import annotations

from collections.abc import Sequence

from mctc.ir.dims import Extent
from mctc.ir.fields import operand, optional_operand
from mctc.ir.op import FLOATS, Op
from mctc.ir.ops.loop import held_type
from mctc.ir.program import Value
from mctc.ir.time import Recurrent, TimeBehaviour
from mctc.ir.types import TensorType

NAME = "associations"


class Associations(Op):
    """S(t) = exp(log_decay(t)) * S(t-1) + key(t) value(t) + into(t) (the sum over features of of(t) * S(t-1)); y(t) is
    the sum over features of query(t) * S(t). Keys, queries and decays [batch, channel 1, feature N, T], values [batch,
    channel P, feature 1, T], or with channels last [batch, T, feature, channel]; results y, as values, and S behind the
    last frame. Of modules alone: no program has it."""

    name = NAME
    query = operand()
    key = operand()
    value = operand()
    log_decay = optional_operand()
    into = optional_operand()
    of = optional_operand()
    h = optional_operand()
    takes = FLOATS

    def infer(self) -> Sequence[TensorType]:
        from mctc.passes.linear_scan.matrix import axes_of

        channel, feature = axes_of(self.query.type)
        matrix = self.query.type.with_extent(channel, self.value.type.extents[channel])
        return matrix.with_extent(feature, Extent.of(1)), held_type(matrix)

    def behaviour(self) -> TimeBehaviour:
        return Recurrent((("h", 1),), "")

    def padded(self, read: object = None, *, whole: bool = True) -> Value | None:
        """Frames of padding change none before them, and the last matrix is not read in a padded batch."""
        return None
