"""The repairs: each removes the cause of one rule's findings and leaves every number as it is.

A repair is a function of a body that edits it and returns a line for every change. Results of a function keep their
names, so what an app sees stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mctc.linter.coreml.fix.body import Body
from mctc.records import dataclass


@dataclass(frozen=True)
class Repair:
    """`code` is the rule whose findings it removes; `summary` says what it does."""

    code: str
    summary: str
    apply: Callable[[Body], list[str]]


def drop_intended_backends(body: Body) -> list[str]:
    done = []
    for op in body.every():
        if "IntendedBackend" in op.attributes:
            del op.attributes["IntendedBackend"]
            done.append(f"{_name(op)}: no intended backend")
    return done


def drop_cast_round_trips(body: Body) -> list[str]:
    """cast(cast(x, fp32), fp16) of an fp16 x is x: every fp16 number is an fp32 number."""
    done = []
    for op in body.ops:
        inner = body.made.get(body.operand(op, "x") or "") if op.type == "cast" else None
        if inner is None or inner.type != "cast":
            continue
        source = body.operand(inner, "x")
        types = [body.type_of(name) for name in (source, _out(inner), _out(op))]
        if [each and each[0] for each in types] != ["fp16", "fp32", "fp16"] or source is None:
            continue
        if body.redirect(_out(op), source):
            body.drop(op)
            done.append(f"{_name(op)}: a cast to fp32 and back")
    return done


def count_concat_axes_from_the_front(body: Body) -> list[str]:
    done = []
    for op in body.ops:
        axis = body.integers(op, "axis") if op.type == "concat" else None
        result = body.type_of(_out(op)) if op.outputs else None
        if axis is None or axis[0] >= 0 or result is None or axis[0] + len(result[1]) < 0:
            continue
        _bind(body, op, "axis", body.add_integers(op, [axis[0] + len(result[1])], scalar=True))
        done.append(f"{_name(op)}: axis {axis[0]} is {axis[0] + len(result[1])}")
    return done


def slice_in_place_of_gather(body: Body) -> list[str]:
    """A gather of one constant index, or of consecutive ones, is a slice."""
    done = []
    for op in body.ops:
        source = body.operand(op, "x") if op.type == "gather" else None
        data, result = body.type_of(source), body.type_of(_out(op)) if op.outputs else None
        indices, axis = body.integers(op, "indices"), body.integers(op, "axis") or (0,)
        if data is None or result is None or indices is None or (body.integers(op, "batch_dims") or (0,))[0]:
            continue
        axis_at = axis[0] + len(data[1]) if axis[0] < 0 else axis[0]
        extent = data[1][axis_at] if 0 <= axis_at < len(data[1]) else 0
        first = indices[0] + extent if indices[0] < 0 else indices[0]
        squeezed = len(result[1]) == len(data[1]) - 1
        steps = all(each == indices[0] + place for place, each in enumerate(indices))
        fits = first >= 0 and first + len(indices) <= extent and (indices[0] >= 0 or len(indices) == 1)
        if not (steps and fits and len(result[1]) in (len(data[1]), len(data[1]) - 1)):
            continue
        _make_slice(body, op, data[1], axis_at, first, len(indices), squeezed)
        done.append(f"{_name(op)}: a slice in place of a gather of constant indices")
    return done


def _make_slice(body: Body, op: Any, shape: tuple[int, ...], axis: int, first: int, count: int, squeezed: bool) -> None:
    begin = [first if place == axis else 0 for place in range(len(shape))]
    end = [first + count if place == axis else extent for place, extent in enumerate(shape)]
    for key in list(op.inputs):
        if key != "x":
            del op.inputs[key]
    op.type = "slice_by_index"
    _bind(body, op, "begin", body.add_integers(op, begin))
    _bind(body, op, "end", body.add_integers(op, end))
    if squeezed:
        _bind(body, op, "squeeze_mask", body.add_flags(op, [place == axis for place in range(len(shape))]))


def fold_shapes(body: Body) -> list[str]:
    """The shape of a value with known extents is a constant."""
    done = []
    for op in body.ops:
        data = body.type_of(body.operand(op, "x")) if op.type == "shape" else None
        result = body.type_of(_out(op)) if data is not None else None
        if data is None or result is None or result[0] != "int32":
            continue
        if body.redirect(_out(op), body.add_integers(op, data[1])):
            body.drop(op)
            done.append(f"{_name(op)}: the shape {list(data[1])} as a constant")
    return done


def drop_transposes_that_cancel(body: Body) -> list[str]:
    done = []
    for op in body.ops:
        inner = body.made.get(body.operand(op, "x") or "") if op.type == "transpose" else None
        first = body.integers(inner, "perm") if inner is not None and inner.type == "transpose" else None
        second, source = body.integers(op, "perm"), body.operand(inner, "x") if first is not None else None
        if first is None or second is None or source is None or len(first) != len(second):
            continue
        count = len(first)
        there, back = ([axis % count for axis in perm] for perm in (first, second))
        if [there[axis] for axis in back] == list(range(count)) and body.redirect(_out(op), source):
            body.drop(op)
            done.append(f"{_name(op)}: undoes the transpose before it")
    return done


REPAIRS = (
    Repair("ANE-GR-005", "intended backends are dropped", drop_intended_backends),
    Repair("ANE-DT-003", "casts to fp32 and back are dropped", drop_cast_round_trips),
    Repair("ANE-CC-001", "axes of concat are counted from the front", count_concat_axes_from_the_front),
    Repair("ANE-OP-023", "gathers of constant, consecutive indices become slices", slice_in_place_of_gather),
    Repair("ANE-OP-019", "shapes that are known become constants", fold_shapes),
    Repair("ANE-LY-005", "transposes that cancel are dropped", drop_transposes_that_cancel),
)


def _out(op: Any) -> str:
    return str(op.outputs[0].name) if op.outputs else ""


def _name(op: Any) -> str:
    label = op.attributes["name"].immediateValue.tensor.strings.values if "name" in op.attributes else ()
    return str(label[0]) if label else _out(op) or str(op.type)


def _bind(body: Body, op: Any, key: str, name: str) -> None:
    """The operand becomes the value of that name alone."""
    if key in op.inputs:
        for argument in op.inputs[key].arguments:
            body.uses[argument.name] = [use for use in body.uses.get(argument.name, []) if use != (op, key)]
        del op.inputs[key]
    op.inputs[key].arguments.add(name=name)
    body.uses.setdefault(name, []).append((op, key))
