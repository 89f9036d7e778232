"""A program whose dimensions have fewer entries: parameters, the ops that hold counts of them, heads of training."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from mctc.diagnostics.diagnostic import Severity, diagnostic_at
from mctc.ir.dims import Extent
from mctc.ir.op import Array
from mctc.ir.ops.attention import Attention, OverKeys
from mctc.ir.ops.convolution import Conv1d, Conv2d
from mctc.ir.ops.leaf import Constant
from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.shape import Pad, Reshape, Slice, Split, SplitChannels
from mctc.ir.ops.ssd import Sizes, Ssd
from mctc.ir.path_pattern import matches
from mctc.ir.program import Function, Op, Parameter, Program, Section, Value
from mctc.ir.recipes import compose, with_recipe
from mctc.objectives.misfit import MisfitError
from mctc.objectives.narrowed_heads import heads_of, with_columns
from mctc.objectives.wiring import wires
from mctc.rewrite.axis_groups import Groups
from mctc.rewrite.base import Context
from mctc.rewrite.dimensions import dimensions
from mctc.rewrite.kept_ports import kept_of, narrowed
from mctc.rewrite.masked_program import runs
from mctc.rewrite.removed_groups import MULTIPLE, WIDE, PruneError, kept, removed
from mctc.rewrite.rewriter import Rewriter, rewrite_functions

NAMES = "call each result what the input that takes it is called"


def pruned(program: Program, context: Context, by: str) -> Program:
    """The program without the entries that its `prune` section names, and without that section. by: the pass. Raises
    PruneError."""
    groups = Groups(program)
    gone = removed(program, groups)
    _tell(program, groups, context)
    new = replace(program, prune=Section(), train=_narrowed_heads(program, groups, gone), parameters={
        name: _smaller(parameter, groups, gone, by) for name, parameter in program.parameters.items()
    })  # fmt: skip
    new = rewrite_functions(new, partial(_rebuilt, by=by, rule=_Resized(groups, gone), context=context))
    _check_wiring(program, new)
    return new


def _rebuilt(new: Program, function: Function, by: str, rule: _Resized, context: Context) -> Function:
    """A component that is given fewer channels of what another one makes, and gives fewer."""
    rewriter = Rewriter(new, function, by, context)
    for value in function.inputs:
        if kept := kept_of(value, rule.groups, rule.gone):
            rewriter.bind(value, Value(narrowed(value.type, kept), value.name))
    return rewriter.rebuild(rule)


def _narrowed_heads(program: Program, groups: Groups, gone: Array) -> Section:
    """The `train` section, which says what is left of heads that read fewer channels."""
    found = dict[str, tuple[list[int], int]]()
    for head in heads_of(program):
        kept = kept_of(head.value, groups, gone).get(channel_axis(head.value.type))
        if kept is not None:
            found[head.name] = [int(each) for each in kept], head.width
    return with_columns(program.train, found) if found else program.train


def _check_wiring(before: Program, after: Program) -> None:
    """Raises PruneError where results have other types than before, and an input could then be given another one."""
    try:
        known = [(each.maker.name, each.result) for each in wires(before)]
    except MisfitError:
        return
    place = next(iter(before.prune.places.values()), None)
    try:
        found = [(each.maker.name, each.result) for each in wires(after)]
    except MisfitError as error:
        told = f"what is left does not tell which component reads what: {error.message}"
        raise PruneError(told, place, hint=error.hint) from error
    if found != known:
        raise PruneError("of what is left, components would be given other results", place, hint=NAMES)


def _tell(program: Program, groups: Groups, context: Context) -> None:
    """Warns of shares so small that nothing goes."""
    known = dimensions(program)
    for pattern, share in program.prune.settings.items():
        counts = [len(each.groups(groups)) for each in known if matches(pattern, each.name)]
        if isinstance(share, (int, float)) and all(kept(each, float(share)) == each for each in counts):
            place, sizes = program.prune.places.get(pattern), ", ".join(dict.fromkeys(map(str, counts)))
            text = f"`{pattern}: {share:g}` cuts nothing of {sizes} entries"
            hint = f"of {WIDE} entries or more multiples of {MULTIPLE} stay; a larger share, or no rule"
            context.warn(diagnostic_at(place, "MCT0158", text, hint=hint, severity=Severity.WARNING))


def _smaller(parameter: Parameter, groups: Groups, gone: Array, by: str) -> Parameter:
    """A parameter without the entries of the groups that go."""
    recipe, told = parameter.recipe, []
    for axis in range(parameter.type.rank):
        entries = groups.of_parameter(parameter.name, axis)
        if entries is None or not (out := np.isin(entries, gone)).any():
            continue
        parts = [compose("slice", [recipe], {"axis": axis, "begin": begin, "end": end}) for begin, end in runs(~out)]
        told.append(f"{int((~out).sum())} of {len(out)} entries of axis {axis}")
        recipe = parts[0] if len(parts) == 1 else compose("concat", parts, {"axis": axis})
    if not told:
        return parameter
    smaller = with_recipe(parameter, parameter.name, recipe)
    return replace(smaller, origin=parameter.origin.after(by, f"keeps {', '.join(told)}"))


class _Resized:
    """Ops whose attributes hold a count of channels or heads; all others take the size of what they are given."""

    def __init__(self, groups: Groups, gone: Array) -> None:
        self.groups, self.gone = groups, gone

    def __call__(self, op: Op, rewriter: Rewriter) -> tuple[Value, ...] | None:
        if isinstance(op, Split):
            if not op.x.type.extents[op.position].is_static:
                return None
            sizes = [self._left(part, op.position) for part in op.results]
            if sizes == [part.type.extents[op.position].value for part in op.results]:
                return None
            return rewriter.emit(Split, *rewriter.operands(op), sizes=tuple(sizes), axis=op.axis)
        if isinstance(op, Slice):
            return self._part(op, rewriter)
        if isinstance(op, Pad):
            return self._padded(op, rewriter)
        if isinstance(op, Reshape):
            return self._regrouped(op, rewriter)
        if isinstance(op, (Conv1d, Conv2d)) and op.groups > 1:
            left = self._left(op.x, channel_axis(op.x.type)) // self._left(op.weight, 1)
            return self._grouped(op, left, rewriter)
        if isinstance(op, Ssd):
            n, last = Sizes.of(op), op.results[1]
            each = n.writes * self._left(last, last.type.rank - 1)
            return self._grouped(op, self._left(op.B, channel_axis(op.B.type)) // each, rewriter)
        if isinstance(op, SplitChannels):
            return self._grouped(op, self._left(op.result, channel_axis(op.result.type)), rewriter)
        if isinstance(op, OverKeys):
            return self._fewer_heads(op, rewriter)
        return self._shorter(op, rewriter) if isinstance(op, Constant) else None

    def _part(self, op: Slice, rewriter: Rewriter) -> tuple[Value, ...] | None:
        """The same entries of an axis of which fewer are left."""
        if not op.x.type.extents[op.position].is_static or op.stride != 1:
            return None
        stay = ~np.isin(self.groups.of(op.x, op.position), self.gone)
        begin, end = int(stay[: op.begin].sum()), None if op.end is None else int(stay[: op.end].sum())
        if (begin, end) == (op.begin, op.end):
            return None
        return rewriter.emit(Slice, *rewriter.operands(op), axis=op.axis, begin=begin, end=end)

    def _padded(self, op: Pad, rewriter: Rewriter) -> tuple[Value, ...] | None:
        if not op.x.type.extents[op.position].is_static:
            return None
        stay = ~np.isin(self.groups.of(op.result, op.position), self.gone)
        before, after = int(stay[: op.before].sum()), int(stay[len(stay) - op.after :].sum())
        if (before, after) == (op.before, op.after):
            return None
        return rewriter.emit(Pad, *rewriter.operands(op), axis=op.axis, before=before, after=after, value=op.value)

    def _regrouped(self, op: Reshape, rewriter: Rewriter) -> tuple[Value, ...] | None:
        extents = op.result.type.extents
        left = [Extent.of(self._left(op.result, at)) if each.is_static else each for at, each in enumerate(extents)]
        if left == list(extents):
            return None
        axes = tuple((role, extent) for (role, _), extent in zip(op.axes, left, strict=True))
        return rewriter.emit(Reshape, *rewriter.operands(op), axes=axes)

    def _shorter(self, op: Constant, rewriter: Rewriter) -> tuple[Value, ...] | None:
        value = op.value
        for axis in range(value.ndim):
            value = np.compress(~np.isin(self.groups.of(op.result, axis), self.gone), value, axis)
        if value.shape == op.value.shape:
            return None
        return rewriter.emit(Constant, **{**op.attributes, "value": value})

    def _fewer_heads(self, op: OverKeys, rewriter: Rewriter) -> tuple[Value, ...] | None:
        at = channel_axis(op.k.type)
        keys = self._left(op.k, at) * op.key_heads // op.k.type.extents[at].value
        if keys == op.key_heads:
            return None
        counts = {"heads": op.heads // op.key_heads * keys}
        if isinstance(op, Attention) and op.kv_heads:
            counts["kv_heads"] = keys
        return rewriter.emit(type(op), *rewriter.operands(op), **{**op.attributes, **counts})

    @staticmethod
    def _grouped(op: Conv1d | Conv2d | SplitChannels | Ssd, left: int, rewriter: Rewriter) -> tuple[Value, ...] | None:
        if left == op.groups:
            return None
        return rewriter.emit(type(op), *rewriter.operands(op), **{**op.attributes, "groups": left})

    def _left(self, value: Value, axis: int) -> int:
        return int((~np.isin(self.groups.of(value, axis), self.gone)).sum())
