"""Which entries of axes go together: entry i of a layer's outputs, row i of its weight, column i of what reads it.

Every entry of every axis of a fixed extent is a node; ops join nodes. What is connected can be removed together, if no
node of it is one that must stay: of an input or a result of a function, of an op that no rule here knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

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
from mctc.ir.ops.reduce import ReduceSum
from mctc.ir.ops.relative_attention import RelativeAttention
from mctc.ir.ops.scan import SelectiveScan
from mctc.ir.ops.shape import Concat, MergeChannels, Pad, Reshape, Slice, Split, SplitChannels, Transpose
from mctc.ir.ops.ssd import Ssd
from mctc.ir.ops.training import Dropout, LayerDrop
from mctc.ir.path_pattern import matches
from mctc.ir.program import Program, Value
from mctc.ir.types import Role
from mctc.rewrite.convolution_groups import convolution, features_stay, outputs
from mctc.rewrite.head_groups import attention
from mctc.rewrite.held import Held
from mctc.rewrite.interface_groups import interfaces
from mctc.rewrite.reshape_groups import reshape, transpose
from mctc.rewrite.scan_groups import selective_scan, ssd
from mctc.rewrite.zeros import zeroed

Key = tuple[Value | str, int]  # a value, or the parameter of that name, and an axis


class Groups:
    """Of a program. `of(value, axis)` is the group of each entry; `stays[group]` says why it must stay.

    What its `prune` section names decides how ops of several groups are cut: whole groups, where a rule names `groups`,
    else as much of each.
    """

    def __init__(self, program: Program) -> None:
        self._starts: dict[Key, tuple[int, int]] = {}
        self._count = 0
        self._joined: list[tuple[Array, Array]] = []
        self._held: list[tuple[Array, Held]] = []
        self._rules = tuple(program.prune.settings)
        interfaces(program, self)
        for _, op in program.ops():
            self._visit(op)
        self._groups = self._connected()
        self.stays: dict[int, Held] = {}
        for nodes, why in self._held:
            for group in np.unique(self._groups[nodes]):
                self.stays.setdefault(int(group), why)

    @property
    def count(self) -> int:
        """How many groups there are."""
        return int(self._groups.max(initial=-1)) + 1

    def of(self, value: Value, axis: int) -> Array:
        """The group of every entry of an axis."""
        return np.asarray(self._groups[self.known(value, axis)])

    def of_parameter(self, name: str, axis: int) -> Array | None:
        """The same of a parameter; None where no op reads it."""
        if (name, axis) not in self._starts:
            return None
        begin, count = self._starts[name, axis]
        return np.asarray(self._groups[begin : begin + count])

    def emptied(self, gone: Array) -> str | None:
        """What would have nothing left: a parameter by its name, or what an op gives. None where nothing would."""
        out = np.isin(self._groups, gone)
        for (of, _), (begin, count) in self._starts.items():
            if count and out[begin : begin + count].all():
                return of if isinstance(of, str) else _told(of)
        return None

    def kinds(self) -> Array:
        """A number for each group: those of one number have their entries in the same axes, as many in each, and meet
        the same numbers of the spec, so that they can change places."""
        draw, found = np.random.default_rng(0), np.zeros(self.count, np.uint64)
        for (of, axis), (begin, count) in self._starts.items():
            which, owner = np.zeros(count, np.int64), of.owner if isinstance(of, Value) else None
            if isinstance(owner, Constant):
                rows = np.moveaxis(owner.value, axis, 0).reshape(count, -1)
                which = np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)
            told = draw.integers(1, 1 << 63, size=count, dtype=np.uint64)[which]
            np.add.at(found, self._groups[begin : begin + count], told)  # a sum modulo 2^64
        return found

    def named(self, dimension: str) -> bool:
        """Whether a rule names a dimension."""
        return any(matches(rule, dimension) for rule in self._rules)

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

    def known(self, value: Value, axis: int) -> Array:
        """The same of an axis that has one extent in every call."""
        nodes = self.nodes(value, axis)
        assert nodes is not None, f"axis {axis} of {value.type} has no fixed extent"
        return nodes

    def join(self, one: Array | None, other: Array | None) -> None:
        """Entry by entry; an axis of extent 1 that meets a longer one is no part of it."""
        if one is None or other is None or (1 in (len(one), len(other)) and len(one) != len(other)):
            return
        self._joined.append((one, other))

    def hold(self, value: Value, why: Held, only: int | None = None) -> None:
        """All entries of all axes must stay, or of one."""
        for axis in range(value.type.rank) if only is None else (only,):
            nodes = self.nodes(value, axis)
            if nodes is not None:
                self._held.append((nodes, why))

    def keep(self, op: Op, value: Value, only: int | None = None) -> None:
        """The same, for an op."""
        self.hold(value, Held(f"{op.name} of {op.origin.path or 'the model'}"), only)

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


def _told(value: Value) -> str:
    return value.name if value.owner is None else f"{value.owner.name} of {value.owner.origin.path or 'the model'}"


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
    outputs(op, at, groups)
    return True


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
    features_stay(apart, op, groups)
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
    """Over fewer channels it counts those alone (mctc.rewrite.masked_program)."""
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


def _sum(op: Op, groups: Groups) -> bool:
    """Over entries that are zeros where they go, it is the sum of the others."""
    assert isinstance(op, ReduceSum)
    if not zeroed(op.x, op.position):
        return False
    groups.alike(op.x, op.result, without=op.position)
    return True


def _slice(op: Op, groups: Groups) -> bool:
    assert isinstance(op, Slice)
    whole, part = groups.nodes(op.x, op.position), groups.nodes(op.result, op.position)
    if whole is None or op.stride != 1:
        return _along(op, groups)
    groups.alike(op.x, op.result, without=op.position)
    groups.join(part, whole[op.begin : op.end])
    return True


def _pad(op: Op, groups: Groups) -> bool:
    """What is added goes with what it meets."""
    assert isinstance(op, Pad)
    within, padded = groups.nodes(op.x, op.position), groups.nodes(op.result, op.position)
    if within is None or padded is None:
        return _along(op, groups)
    groups.alike(op.x, op.result, without=op.position)
    groups.join(within, padded[op.before : op.before + len(within)])
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
    Constant: _constant, Linear: _linear, Conv1d: convolution, Conv2d: convolution, Split: _split, Slice: _slice,
    Pad: _pad, Reshape: reshape, Transpose: transpose, SplitChannels: _split_channels, MergeChannels: _merge_channels,
    SelectiveScan: selective_scan, Ssd: ssd, Lstm: _cell, Gru: _cell, ChannelNorm: _norm, Embedding: _embedding,
    PositionalEmbedding: _embedding, Concat: _concat, ReduceSum: _sum, AxisOp: _along, Attention: attention,
    RelativeAttention: attention,
}  # fmt: skip
"""How the ops of each class join axes, the first class that fits. False: this op is one that no rule knows."""
