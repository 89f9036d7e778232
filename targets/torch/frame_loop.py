"""The text of a `scan`: a loop over frames with the states as local variables."""

from __future__ import annotations

from collections.abc import Sequence

from mctc.emit.unsupported import UnsupportedError
from mctc.ir.dims import Extent
from mctc.ir.loops import frame_of
from mctc.ir.ops.loop import ScanState
from mctc.ir.program import Op, Value
from mctc.ir.types import Role
from mctc.targets.torch.expressions import Expression, Text
from mctc.targets.torch.expressions.text import as_expression
from mctc.targets.torch.method import Item, Writer
from mctc.targets.torch.recurrence import Recurrence, one_frame, with_frame, without_frame


def write_loop(outer: Writer, recurrence: Recurrence) -> None:
    """`for t in range(x.shape[3]):`, and what the scan computes of a frame."""
    loop, many = recurrence.loop, recurrence.frames
    outer.position -= 1  # what the loop reads is needed in each of its rounds
    t = outer.local(many.type, "t")
    held = [outer.local(state.result.type, state.state) for state in loop.states]
    outer.lines += [f"{name} = {_start(outer, state, many)}" for name, state in zip(held, loop.states)]
    frame = _FrameWriter(outer, recurrence, held, t)
    after, others = frame.write_frame()
    made = loop.close.results[: len(after) + len(others)]
    rows = [outer.local(v.type, f"{v.name or 'y'}_frames") if v in outer.users else "" for v in made]
    outer.position += 1
    outer.lines += [f"{row} = []" for row in rows if row]
    outer.lines.append(f"for {t} in range({outer[many].text}.shape[{many.type.sequence}]):")
    outer.lines += [f"    {line}" for line in frame.lines]
    outer.lines += [f"    {row}.append({text})" for row, text in zip(rows[len(after) :], others) if row]
    if after != held:
        outer.lines.append(f"    {', '.join(held)} = {', '.join(_kept(outer, recurrence, after, held, t))}")
    outer.lines += [f"    {row}.append({name})" for row, name in zip(rows, held) if row]
    outer.imports |= frame.imports
    for value, row in zip(made, rows):
        if row:
            text = outer.component.joined(row, value.type.sequence or 0)
            outer.imports |= text.imports
            outer.assign([value], text)
    for state, name, value in zip(loop.states, held, loop.close.results[len(made) :]):
        outer.env[value] = Expression(without_frame(name, state.result.type))


def _kept(outer: Writer, recurrence: Recurrence, after: list[str], held: list[str], t: str) -> list[str]:
    """What the states become; where what is left behind is read, frames of padding move none."""
    valid = outer.component.valid(recurrence.loop.close)
    if valid is None:
        return after
    kept = []
    for state, new, old in zip(recurrence.loop.states, after, held):
        type_ = state.result.type
        if type_.sequence != type_.rank - 1 or type_.roles[0] is not Role.BATCH:
            raise UnsupportedError(f"the final state of `{state.state}` would be told apart from padding in {type_}")
        marks = f"{valid}[:, {'None, ' * (type_.rank - 2)}{t} : {t} + 1]"
        kept.append(new if new == old else f"torch.where({marks} > 0, {new}, {old})")
    outer.imports.add("torch")
    return kept


def _start(outer: Writer, state: ScanState, many: Value) -> str:
    """A state before the first frame: zeros of the kind of `many`, a value with as many utterances, if it has none."""
    type_ = state.result.type
    if state.start is not None:
        return with_frame(outer[state.start].text, type_)
    seen = {extent: index for index, extent in enumerate(many.type.extents)}
    extents = type_.with_extent(type_.sequence or 0, Extent.of(1)).extents
    like = outer[many].text
    text = outer.component.zeros(like, [str(e) if e.is_static else f"{like}.shape[{seen[e]}]" for e in extents])
    outer.imports |= text.imports
    return text.text


class _FrameWriter(Writer):
    """Writes what a scan computes of one frame. `held` are the names of its states, `t` counts frames."""

    def __init__(self, outer: Writer, recurrence: Recurrence, held: Sequence[str], t: str) -> None:
        loop, self.t = recurrence.loop, t
        self.component, self.node, self.flow, self.loop = outer.component, outer.node, outer.flow, outer.loop
        self.items: Sequence[Item | Recurrence] = recurrence.items
        self.forms = dict(zip(loop.ops, frame_of(loop).ops, strict=True))
        _, self.after, self.others = loop.close.parts
        self.results = [*self.after, *self.others]
        self.own, self.fields, self.hints, self.carriers, self.carried = [], {}, {}, [], {}
        self.env = dict(outer.env)
        for value in loop.outer:
            text = outer[value]
            self.env[value] = text
            if loop.runs_along(value):
                self.env[value] = Expression(one_frame(text.text, value.type, t), text.imports)
        self.env.update(zip((state.result for state in loop.states), map(Expression, held)))
        self.bound, self.lines, self.imports, self.position = {}, [], set(), 0
        self.taken = outer.taken | set(outer.bound)
        self.look_ahead()

    def write_frame(self) -> tuple[list[str], list[str]]:
        """Writes the lines; what the states become, and what else leaves."""
        for position, item in enumerate(self.items):
            self.position = position
            self.write_item(item)
        self.position = len(self.items)
        for value in self.results:
            self.imports |= self[value].imports
        return [self[value].text for value in self.after], [self[value].text for value in self.others]

    def exist(self, mask: Text) -> Expression:
        """The mask of the one frame."""
        whole = as_expression(mask)
        return Expression(f"{whole.atom}[:, {self.t} : {self.t} + 1]", whole.imports)

    def _form(self, op: Op) -> Op:
        return self.forms.get(op, op)
