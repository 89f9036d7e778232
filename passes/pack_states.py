"""All states of a function in one tensor."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, count

import numpy as np

from mctc.driver.names import STATE_OUT
from mctc.hardware.devices import find_device
from mctc.ir.dims import Extent
from mctc.ir.location import Origin
from mctc.ir.ops.shape import Concat, Reshape, Slice, Split
from mctc.ir.program import Function, PackedState, Program, State, Value
from mctc.ir.types import Axis, DType, Role, TensorType
from mctc.passes.state_packing import Bin, Group, Packing, Stack, StateShape, form_of, pack
from mctc.passes.state_updates import bare, joined
from mctc.records import dataclass
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.options import option
from mctc.rewrite.rewriter import Rewriter, rewrite_functions

PACKED = "state"  # the name of the packed state, unless an input or result has it


@dataclass(frozen=True)
class PackStates(Pass):
    """Packs a function's states into one, its last axis a multiple of 32; --state separate only pads each of them.

    Three state tensors in one function fail when a phone runs them (ANE-ST-003), and an encoder has dozens. With
    --state io the packed state is an input and an output, whose last axis wants the same multiple (ANE-LY-002).
    """

    name = "pack-states"
    promise = Exact()
    stage = "deploy"
    after = ("fold-state-reshapes",)

    limit: int | None = option(None, "columns that the packed state may have; none is the device's", least=1)

    def run(self, program: Program, context: Context) -> Program:
        limit = self.limit or find_device(context.device).family.extent

        def rebuild(new: Program, function: Function) -> Function:
            if not function.states:
                return function
            groups = [[state] for state in function.states] if context.state == "separate" else [function.states]
            return _Packer(new, function, self.name, [pack(group, limit) for group in groups], context).packed()

        return rewrite_functions(program, rebuild)


class _Packer(Rewriter):
    """Rebuilds a function between the reading of packed states and their writing."""

    def __init__(
        self, program: Program, function: Function, by: str, packings: list[Packing], context: Context
    ) -> None:
        super().__init__(program, function, by, context)
        self.packings = packings
        self.names = [_free(function)] if context.state != "separate" else [state.name for state in function.states]

    def packed(self) -> Function:
        function = self.function
        for value in function.inputs:
            self.bind(value, value)
        types = [_form_type(*((1, p.rows) if p.stacks else (p.rows, 1)), p.width) for p in self.packings]
        values = [Value(type_, name) for type_, name in zip(types, self.names)]
        self.origin = self._origin("states read from the packed state")
        for packing, value in zip(self.packings, values):
            self._read(packing, value)
        for op in function.ops:
            self.visit(op, lambda op, rewriter: None)
        self.origin = self._origin("states written to the packed state")
        updates = [self._write(packing) for packing in self.packings]
        self._explain()
        function = self.rebuilt([State(*entry) for entry in zip(self.names, values, updates)])
        return replace(function, packing=tuple(_places(self.packings, self.names)))

    def _origin(self, change: str) -> Origin:
        return Origin(path=self.function.name).after(self.by, change)

    def _explain(self) -> None:
        packing = self.packings[0]
        if self.context.state != "separate":
            size = f"[1, {'1, ' * bool(packing.stacks)}{packing.rows}, {'1, ' * bool(packing.bins)}{packing.width}]"
            used = sum(state.value.type.size for state in self.function.states) / packing.size
            why = f"{len(self.function.states)} states in one of {size}, {used:.0%} of it used"
            self.context.explain(self.by, self.function.name, why)

    def _read(self, packing: Packing, value: Value) -> None:
        """Cuts the packed state into bins or stacks, groups and states."""
        if packing.stacks:
            for stack, part in zip(packing.stacks, self._cut(value, [stack.rows for stack in packing.stacks], 2)):
                self._read_stack(stack, part)
            return
        rows = [bin_.rows for bin_ in packing.bins]
        for bin_, part in zip(packing.bins, self._cut(value, rows, 1)):
            widths, direct = [], []
            for group in bin_.groups:
                direct.append(group.form.lines == 1)
                widths += [group.form.width] * len(group.states) if direct[-1] else [group.columns]
            pieces = iter(self._cut(part, [*widths, *_rest(packing.width - bin_.columns)], 3))
            for group, flat in zip(bin_.groups, direct):
                parts = [next(pieces) for _ in group.states] if flat else self._lines(group, next(pieces))
                for state, piece in zip(group.states, parts):
                    self.bind(state.value, self.reshaped(piece, state.value.type))

    def _read_stack(self, stack: Stack, part: Value) -> None:
        group = stack.group
        if not stack.flat:
            pieces = self._cut(part, [group.form.rows] * len(group.states), 2)
        else:
            whole = _form_type(group.form.rows, 1, group.columns)
            if rest := part.type.size - whole.size:
                part = self._cut(self.reshaped(part, _form_type(1, 1, part.type.size)), [whole.size, rest], 3)[0]
            part, single = self.reshaped(part, whole), group.form.lines == 1
            pieces = self._cut(part, [group.form.width] * len(group.states), 3) if single else self._lines(group, part)
        for state, piece in zip(group.states, pieces):
            self.bind(state.value, self.reshaped(piece, state.value.type))

    def _lines(self, group: Group, piece: Value) -> list[Value]:
        """The states of a group [1, C, 1, k*H*W], one below the other."""
        count, form = len(group.states), group.form
        stacked = self.reshaped(piece, _form_type(form.rows, count * form.lines, form.width))
        return self._cut(stacked, [form.lines] * count, 2)

    def _write(self, packing: Packing) -> Value:
        if packing.stacks:
            return self._join([part for stack in packing.stacks for part in self._write_stack(stack, packing.width)], 2)
        bins = [self._write_bin(bin_, packing.width) for bin_ in packing.bins]
        return self._join(bins, 1)

    def _write_bin(self, bin_: Bin, width: int) -> Value:
        parts = [part for group in bin_.groups for part in self._write_group(group)]
        for columns in _rest(width - bin_.columns):
            zeros = np.zeros((1, bin_.rows, 1, columns), np.float32)
            parts.append(self.constant(zeros, [axis.role.value for axis in _form_type(1, 1, 1).axes]))
        return self._join(parts, 3)

    def _write_stack(self, stack: Stack, width: int) -> list[Value]:
        """New states in rows of the packed tensor."""
        group = stack.group
        if not stack.flat:
            updates = [bare(state.update) for state in group.states]
            same = all(update.type.shape == (1, 1, group.form.rows, width) for update in updates)
            whole = joined(updates, self) if same and len(updates) > 1 else None
            pieces = [whole] if whole else [self[update] for update in updates]
            return [self.reshaped(piece, _form_type(1, piece.type.size // width, width)) for piece in pieces]
        part = self._join(self._write_group(group), 3)
        if rest := stack.rows * width - part.type.size:
            zeros = self.constant(
                np.zeros((1, 1, 1, rest), np.float32), [axis.role.value for axis in _form_type(1, 1, 1).axes]
            )
            part = self._join([self.reshaped(part, _form_type(1, 1, part.type.size)), zeros], 3)
        return [self.reshaped(part, _form_type(1, stack.rows, width))]

    def _write_group(self, group: Group) -> list[Value]:
        """New states as pieces of their bin. Equal slices of several values are taken once, of all of them joined."""
        count, form = len(group.states), group.form
        updates = [bare(self[state.update]) for state in group.states]
        slices = _common_slices(updates, form)
        if slices and slices[0].position == 1 and count > 3:
            whole = self._join([each.x for each in slices], 3)
            new = self.op(Slice, whole, axis=1, begin=slices[0].begin, end=slices[0].end)
        elif slices and slices[0].position == 3 and count > (3 if form.lines == 1 else 1):
            whole = self._join([self._plain(each.x, form) for each in slices], 2)
            new = self.op(Slice, whole, axis=3, begin=slices[0].begin)
        elif form.lines == 1:
            return [self.reshaped(update, _form_type(form.rows, 1, form.width)) for update in updates]
        else:
            new = self._join([self._plain(update, form) for update in updates], 2)
        return [self.reshaped(new, _form_type(form.rows, 1, group.columns))]

    def reshaped(self, value: Value, type_: TensorType) -> Value:
        """Two reshapes one after the other are one."""
        source = value.owner.x if isinstance(value.owner, Reshape) else value
        return super().reshaped(source, type_)

    def _cut(self, value: Value, sizes: list[int], axis: int) -> list[Value]:
        return [value] if len(sizes) == 1 else list(self.emit(Split, value, sizes=tuple(sizes), axis=axis))

    def _join(self, values: list[Value], axis: int) -> Value:
        return values[0] if len(values) == 1 else self.op(Concat, *values, axis=axis)

    def _plain(self, value: Value, form: StateShape) -> Value:
        """A value as rows and lines of a form with unit axes: roles never keep two states from standing together."""
        return self.reshaped(value, _form_type(form.rows, form.lines, value.type.size // (form.rows * form.lines)))


def _free(function: Function) -> str:
    """A name that no input or result has, for the packed state and, where states are outputs too, for its new value."""
    taken = {*(value.name for value in function.inputs), *(name for name, _ in function.results)}
    names = chain([PACKED], (f"{PACKED}_{n}" for n in count(1)))
    return next(name for name in names if not taken & {name, name + STATE_OUT})


def _common_slices(updates: list[Value], form: StateShape) -> list[Slice]:
    """What makes the updates, if all are the same last entries along the last axis of values of one type, or the same
    rows of [1, R, 1, W]."""
    slices = [update.owner for update in updates if isinstance(update.owner, Slice) and update.type.rank == 4]
    if len(slices) < len(updates):
        return []
    last = all(op.position == 3 and op.end in (None, op.x.type.shape[3]) and op.stride == 1 for op in slices)
    rows = all(op.position == 1 and op.stride == 1 and form.lines == op.x.type.shape[2] == 1 for op in slices)
    same = len({(op.begin, op.end) for op in slices}) == len({op.x.type for op in slices}) == 1
    return slices if (last or rows) and same and form_of(updates[0].type) == form else []


def _form_type(rows: int, lines: int, width: int) -> TensorType:
    roles = (Role.BATCH, Role.CHANNEL, Role.UNIT, Role.UNIT)
    return TensorType(DType.F32, tuple(Axis(r, Extent.of(n)) for r, n in zip(roles, (1, rows, lines, width))))


def _rest(columns: int) -> list[int]:
    return [columns] if columns else []


def _places(packings: list[Packing], names: list[str]) -> list[PackedState]:
    places = []
    for packing, tensor in zip(packings, names):
        for bin_ in packing.bins:
            for group in bin_.groups:
                places += [_place(group, i, tensor, bin_.row, None) for i in range(len(group.states))]
        for stack in packing.stacks:
            for i in range(len(stack.group.states)):
                row = stack.row if stack.flat else stack.row + i * stack.group.form.rows
                places.append(_place(stack.group, i if stack.flat else 0, tensor, row, stack.group.columns))
                if not stack.flat:
                    places[-1] = replace(places[-1], name=stack.group.states[i].name, pitch=None)
    return places


def _place(group: Group, i: int, tensor: str, row: int, pitch: int | None) -> PackedState:
    shape = group.states[i].value.type.shape
    if len(shape) > 2 and shape[1] != group.form.rows:
        shape = (1, group.form.rows, 1, group.form.width)  # its lines are rows
    return PackedState(group.states[i].name, tensor, row, group.column + i * group.form.columns, shape, pitch)
