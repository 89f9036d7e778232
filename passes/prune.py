"""The `prune` section makes layers smaller: the last entries of a dimension go, with all that goes with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mctc.diagnostics.diagnostic import Severity, diagnostic_at
from mctc.ir.op import Array
from mctc.ir.ops.attention import Attention, OverKeys
from mctc.ir.ops.convolution import Conv1d, Conv2d
from mctc.ir.ops.leaf import Constant
from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.shape import Split, SplitChannels
from mctc.ir.path_pattern import matches
from mctc.ir.program import Op, Parameter, Program, Section, Value
from mctc.ir.recipes import compose, with_recipe
from mctc.rewrite.axis_groups import Groups, depthwise, dimensions
from mctc.rewrite.base import Context, Masks, Pass
from mctc.rewrite.masked_norms import runs
from mctc.rewrite.removed_groups import MULTIPLE, WIDE, kept, removed
from mctc.rewrite.rewriter import Rewriter, rewrite


class Prune(Pass):
    """Cuts the last entries of dimensions that the `prune` section names, and what goes with them in other layers.

    Parameters become slices of the checkpoint's tensors, so a checkpoint of either size binds; attention has fewer
    heads, norms count fewer channels. `mctc prune` sorts a checkpoint so that the last entries are those that the loss
    feels least.
    """

    name = "prune"
    promise = Masks()
    before = ("annotate-quantization", "channels-first", "pad-vocabulary", "split-dimensions")

    def run(self, program: Program, context: Context) -> Program:
        if not program.prune.settings:
            return program
        groups = Groups(program)
        gone = removed(program, groups)
        _tell(program, context)
        new = replace(program, prune=Section(), parameters={
            name: _smaller(parameter, groups, gone, self.name) for name, parameter in program.parameters.items()
        })  # fmt: skip
        return rewrite(new, self.name, _Resized(groups, gone), context=context)


def _tell(program: Program, context: Context) -> None:
    """Warns of shares so small that nothing goes."""
    known = dimensions(program)
    for pattern, share in program.prune.settings.items():
        found = [each for each in known if matches(pattern, each.name)]
        if isinstance(share, (int, float)) and all(kept(each.size, float(share)) == each.size for each in found):
            place, sizes = program.prune.places.get(pattern), ", ".join(dict.fromkeys(f"{each.size}" for each in found))
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
        if isinstance(op, (Conv1d, Conv2d)) and depthwise(op):
            return self._grouped(op, self._left(op.x, channel_axis(op.x.type)), rewriter)
        if isinstance(op, SplitChannels):
            return self._grouped(op, self._left(op.result, channel_axis(op.result.type)), rewriter)
        if isinstance(op, OverKeys):
            return self._fewer_heads(op, rewriter)
        return self._shorter(op, rewriter) if isinstance(op, Constant) else None

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
    def _grouped(op: Conv1d | Conv2d | SplitChannels, left: int, rewriter: Rewriter) -> tuple[Value, ...] | None:
        if left == op.groups:
            return None
        return rewriter.emit(type(op), *rewriter.operands(op), **{**op.attributes, "groups": left})

    def _left(self, value: Value, axis: int) -> int:
        return int((~np.isin(self.groups.of(value, axis), self.gone)).sum())
