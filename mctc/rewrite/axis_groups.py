"""Which entries of axes go together: entry i of a layer's outputs, row i of its weight, column i of what reads it.

Every entry of every axis of a fixed extent is a node; ops join nodes. What is connected can be removed together, if no
node of it is one that must stay: of an input or a result of a function, of an op that no rule here knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from mctc.ir.dims import Extent
from mctc.ir.op import Array, Op
from mctc.ir.ops.attention import Attention
from mctc.ir.ops.axis import AxisOp
from mctc.ir.ops.convolution import Conv1d, Conv2d
from mctc.ir.ops.elementwise import Binary, Cast, Clip, Scale, Unary
from mctc.ir.ops.leaf import Constant, ParameterOp
from mctc.ir.ops.linear import Embedding, Linear, channel_axis
from mctc.ir.ops.norm import ChannelNorm
from mctc.ir.ops.position import PositionalEmbedding
from mctc.ir.ops.recurrent import Gru, Lstm
from mctc.ir.ops.relative_attention import RelativeAttention
from mctc.ir.ops.scan import SelectiveScan
from mctc.ir.ops.shape import Concat, MergeChannels, Split, SplitChannels
from mctc.ir.ops.training import Dropout, LayerDrop
from mctc.ir.program import Program, Value
from mctc.ir.types import Role
from mctc.records import dataclass
from mctc.rewrite.head_groups import attention

Key = tuple[Value | str, int]  # a value, or the parameter of that name, and an axis


@dataclass(frozen=True)
class Dimension:
    """What can be cut: a name such as 'encoder.layers.0.mamba.state', the op, and the axis of one of its values.

    each: entries of the axis that are one of the dimension's."""

    name: str
    op: Op
    value: Value
    axis: int
    each: int = 1

    @property
    def size(self) -> int:
        return self.value.type.extents[self.axis].value // self.each

    def groups(self, groups: Groups) -> Array:
        """The group of every entry."""
        return groups.of(self.value, self.axis)[:: self.each]


class Groups:
    """Of a program. `of(value, axis)` is the group of each entry; `stays[group]` the op for which it must stay."""

    def __init__(self, program: Program) -> None:
        self._starts: dict[Key, tuple[int, int]] = {}
        self._count = 0
        self._joined: list[tuple[Array, Array]] = []
        self._held: list[tuple[Array, str]] = []
        for function in program.functions.values():
            for value in (*function.inputs, *function.outputs):
                self.hold(value, f"an input or a result of {function.name}")
            for op in function.ops:
                self._visit(op)
        self._groups = self._connected()
        self.stays: dict[int, str] = {}
        for nodes, why in self._held:
            for group in np.unique(self._groups[nodes]):
                self.stays.setdefault(int(group), why)

    @property
    def count(self) -> int:
        """How many groups there are."""
        return int(self._groups.max(initial=-1)) + 1

    def of(self, value: Value, axis: int) -> Array:
        """The group of every entry of an axis."""
        nodes = self.nodes(value, axis)
        assert nodes is not None, f"axis {axis} of {value.type} has no fixed extent"
        return np.asarray(self._groups[nodes])

    def of_parameter(self, name: str, axis: int) -> Array | None:
        """The same of a parameter; None where no op reads it."""
        if (name, axis) not in self._starts:
            return None
        begin, count = self._starts[name, axis]
        return np.asarray(self._groups[begin : begin + count])

    # What ops say

    def nodes(self, value: Value, axis: int) -> Array | None:
        """The nodes of an axis; None where its extent differs from call to call."""
        extent = value.type.extents[axis]
        if not extent.is_static:
            return None
        owner = value.owner
        key: Key = (owner.parameter if isinstance(owner, ParameterOp) else value, axis)
        if key not in self._starts:
            self._starts[key] = self._count, extent.value
            self._count += extent.value
        begin, count = self._starts[key]
        return np.arange(begin, begin + count)

    def join(self, one: Array | None, other: Array | None) -> None:
        """Entry by entry; an axis of extent 1 that meets a longer one is no part of it."""
        if one is None or other is None or (1 in (len(one), len(other)) and len(one) != len(other)):
            return
        self._joined.append((one, other))

    def hold(self, value: Value, why: str, only: int | None = None) -> None:
        """All entries of all axes must stay, or of one."""
        for axis in range(value.type.rank) if only is None else (only,):
            nodes = self.nodes(value, axis)
            if nodes is not None:
                self._held.append((nodes, why))

    def keep(self, op: Op, value: Value, only: int | None = None) -> None:
        """The same, for an op."""
        self.hold(value, f"{op.name} of {op.origin.path or 'the model'}", only)

    def alike(self, one: Value, other: Value, without: int | None = None) -> None:
        """Axis by axis, but for one of them."""
        for axis in range(min(one.type.rank, other.type.rank)):
            if axis != without:
                self.join(self.nodes(one, axis), self.nodes(other, axis))

    def _visit(self, op: Op) -> None:
        for kind, rule in RULES.items():
            if isinstance(op, kind) and rule(op, self):
                return
        if isinstance(op, ParameterOp):
            return
        for value in (*op.operands, *op.results):
            if value is not None:
                self.keep(op, value)

    def _connected(self) -> Array:
        ends = [np.concatenate(each) if each else np.zeros(0, np.int64) for each in zip(*self._joined)] or [
            np.zeros(0, np.int64)
        ] * 2
        from scipy.sparse import coo_array  # half of what a build imports otherwise
        from scipy.sparse.csgraph import connected_components

        graph = coo_array((np.ones(len(ends[0])), (ends[0], ends[1])), shape=(self._count, self._count))
        return np.asarray(connected_components(graph, directed=False)[1])


def _unary(op: Op, groups: Groups) -> bool:
    for operand in op.present():
        groups.alike(operand, op.result)
    return True


def _binary(op: Op, groups: Groups) -> bool:
    """Operands meet by role, or by position from the last axis where they have none."""
    result = op.result.type
    for value in op.operands:
        assert value is not None
        by_place = Role.PLAIN in value.type.roles or value.type.roles == result.roles
        for axis, role in enumerate(value.type.roles):
            at = axis + result.rank - value.type.rank if by_place else result.find(role)
            if at is not None:
                groups.join(groups.nodes(value, axis), groups.nodes(op.result, at))
    return True


def _constant(op: Op, groups: Groups) -> bool:
    """A number takes any extent; entries of an array go with those that they meet."""
    for axis in range(op.result.type.rank):
        groups.nodes(op.result, axis)
    return True


def _linear(op: Op, groups: Groups) -> bool:
    assert isinstance(op, Linear)
    at = channel_axis(op.x.type)
    groups.alike(op.x, op.result, without=at)
    groups.join(groups.nodes(op.x, at), groups.nodes(op.weight, 1))
    _outputs(op, at, groups)
    return True


def _outputs(op: Linear | Conv1d | Conv2d, at: int, groups: Groups) -> None:
    """The channels of a layer's result, the rows of its weight, its bias."""
    rows = groups.nodes(op.weight, 0)
    groups.join(groups.nodes(op.result, at), rows)
    if op.bias is not None:
        groups.join(groups.nodes(op.bias, 0), rows)


def depthwise(op: Conv1d | Conv2d) -> bool:
    """Whether a convolution has a kernel for each channel."""
    channels = op.x.type.extents[channel_axis(op.x.type)]
    return op.groups > 1 and channels == op.weight.type.extents[0] == Extent.of(op.groups)


def _convolution(op: Op, groups: Groups) -> bool:
    """Of one group, or of a group for each channel. What lies along its features stays."""
    assert isinstance(op, (Conv1d, Conv2d))
    at, apart = channel_axis(op.x.type), depthwise(op)
    if op.groups > 1 and not apart:
        return False
    groups.join(groups.nodes(op.x, at), groups.nodes(op.weight, 0 if apart else 1))
    _outputs(op, at, groups)
    for value in (op.x, op.result):
        _features_stay(value, op, groups)
    return True


def _features_stay(value: Value, op: Op, groups: Groups) -> None:
    if (features := value.type.find(Role.FEATURE)) is not None:
        groups.keep(op, value, features)


def _split_channels(op: Op, groups: Groups) -> bool:
    assert isinstance(op, SplitChannels)
    return _by_features(op, op.x, op.result, groups)


def _merge_channels(op: Op, groups: Groups) -> bool:
    assert isinstance(op, MergeChannels)
    return _by_features(op, op.result, op.x, groups)


def _by_features(op: Op, flat: Value, apart: Value, groups: Groups) -> bool:
    """Entry g * F + f of the channels is channel g, feature f: a channel goes with all its features."""
    entries, channels = (groups.nodes(value, channel_axis(value.type)) for value in (flat, apart))
    if entries is None or channels is None:
        return False
    groups.join(entries, np.repeat(channels, len(entries) // len(channels)))
    _features_stay(apart, op, groups)
    return True


def _split(op: Op, groups: Groups) -> bool:
    assert isinstance(op, Split)
    whole, begin = groups.nodes(op.x, op.position), 0
    for part in op.results:
        groups.alike(op.x, part, without=op.position)
        nodes = groups.nodes(part, op.position)
        if whole is None or nodes is None:
            return False
        groups.join(nodes, whole[begin : begin + len(nodes)])
        begin += len(nodes)
    return True


def _scan(op: Op, groups: Groups) -> bool:
    """Inner channels along x, delta, A, D and y; states along A, B and C."""
    assert isinstance(op, SelectiveScan)
    at = channel_axis(op.x.type)
    if op.h is not None:
        return False
    inner, states = groups.nodes(op.A, 0), groups.nodes(op.A, 1)
    y, last = op.results
    for value in (op.x, op.delta, y):
        groups.join(groups.nodes(value, at), inner)
    if op.D is not None:
        groups.join(groups.nodes(op.D, 0), inner)
    for value in (op.B, op.C):
        groups.join(groups.nodes(value, channel_axis(value.type)), states)
    groups.join(groups.nodes(last, channel_axis(last.type)), inner)
    groups.join(groups.nodes(last, last.type.rank - 1), states)
    return True


def _cell(op: Op, groups: Groups) -> bool:
    """Cells along the result, the columns of the state's weight, and the rows of each gate."""
    assert isinstance(op, (Lstm, Gru))
    at, cells = channel_axis(op.x.type), groups.nodes(op.weight_hh, 1)
    if cells is None or any(op.operand(name) is not None for name in op.hidden):
        return False
    groups.join(groups.nodes(op.x, at), groups.nodes(op.weight_ih, 1))
    for result in op.results:
        groups.join(groups.nodes(result, channel_axis(result.type)), cells)
    stacked = ("weight_ih", "weight_hh", "bias", "bias_ih", "bias_hh")
    for value in (op.operand(name) for name in stacked if name in {each.name for each in op.fields}):
        rows = None if value is None else groups.nodes(value, 0)
        for gate in range(op.stacked if rows is not None else 0):
            assert rows is not None
            groups.join(rows[gate * len(cells) : (gate + 1) * len(cells)], cells)
    return True


def _norm(op: Op, groups: Groups) -> bool:
    """Over fewer channels it counts those alone (mctc.rewrite.masked_norms)."""
    assert isinstance(op, ChannelNorm)
    channels = groups.nodes(op.x, channel_axis(op.x.type))
    groups.alike(op.x, op.result)
    for vector in op.operands[1:]:
        if vector is not None:
            groups.join(groups.nodes(vector, 0), channels)
    return True


def _embedding(op: Op, groups: Groups) -> bool:
    """The columns of a table, and the channels."""
    assert isinstance(op, (Embedding, PositionalEmbedding))
    groups.join(groups.nodes(op.table, 1), groups.nodes(op.result, channel_axis(op.result.type)))
    return True


def _along(op: Op, groups: Groups) -> bool:
    """Other axes than the one that entries are cut from, added to, turned round or summed over."""
    assert isinstance(op, AxisOp)
    groups.alike(op.x, op.result, without=op.position)
    for value in (op.x, op.result):
        groups.keep(op, value, op.position)
    return True


def _concat(op: Op, groups: Groups) -> bool:
    assert isinstance(op, Concat)
    whole, begin = groups.nodes(op.result, op.position), 0
    for part in op.xs:
        groups.alike(part, op.result, without=op.position)
        nodes = groups.nodes(part, op.position)
        if whole is None or nodes is None:
            whole = None
            continue
        groups.join(nodes, whole[begin : begin + len(nodes)])
        begin += len(nodes)
    return True


RULES: Mapping[type[Op], Callable[[Op, Groups], bool]] = {
    Unary: _unary, Scale: _unary, Clip: _unary, Cast: _unary, Dropout: _unary, LayerDrop: _unary, Binary: _binary,
    Constant: _constant, Linear: _linear, Conv1d: _convolution, Conv2d: _convolution, Split: _split,
    SplitChannels: _split_channels, MergeChannels: _merge_channels, SelectiveScan: _scan, Lstm: _cell, Gru: _cell,
    ChannelNorm: _norm, Embedding: _embedding, PositionalEmbedding: _embedding, Concat: _concat,
    AxisOp: _along, Attention: attention, RelativeAttention: attention,
}  # fmt: skip
"""How the ops of each class join axes, the first class that fits. False: this op is one that no rule knows."""


def dimensions(program: Program) -> list[Dimension]:
    """What can be cut, if its groups allow: `state` and `inner` of a scan, `cells` of a recurrent layer, `heads` of
    attention (of its keys), `channels` of a linear layer, a convolution or a table, each behind the path of its
    instance."""
    found = []
    for _, op in program.ops():
        path = op.origin.path
        if isinstance(op, SelectiveScan):
            found += [Dimension(f"{path}.state", op, op.A, 1), Dimension(f"{path}.inner", op, op.A, 0)]
        elif isinstance(op, (Lstm, Gru)):
            found.append(Dimension(f"{path}.cells", op, op.weight_hh, 1))
        elif isinstance(op, (Linear, Conv1d, Conv2d)):
            found.append(Dimension(f"{path}.channels", op, op.weight, 0))
        elif isinstance(op, Embedding):
            found.append(Dimension(f"{path}.channels", op, op.table, 1))
        elif isinstance(op, (Attention, RelativeAttention)):
            at = channel_axis(op.k.type)
            found.append(Dimension(f"{path}.heads", op, op.k, at, op.k.type.extents[at].value // op.key_heads))
    return found
