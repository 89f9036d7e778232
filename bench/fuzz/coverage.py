"""What a program holds: ops, roles, time behaviours, ways to store parameters, kinds of components, forms."""

from __future__ import annotations

from bench.fuzz.forms import forms
from mctc.ir.program import Program
from mctc.ir.time import Recurrent, Spread, TimeBehaviour, Whole, Window


def covered(program: Program) -> dict[str, list[str]]:
    """Names by kind, each once."""
    ops = {op.name for _, op in program.ops()}
    values = [value for _, op in program.ops() for value in op.results]
    values += [value for function in program.functions.values() for value in function.inputs]
    roles = {role.value for value in values for role in value.type.roles}
    times = {behaviour(op.name, op.time) for _, op in program.ops() if op.name not in ("parameter", "constant")}
    schemes = {_scheme(rule.quantization) for rule in program.quantize} or {"fp16"}
    components = {"+".join(program.functions)}
    kinds = {"op": ops, "role": roles, "time": times, "stored": schemes, "components": components}
    kinds["form"] = forms(program)
    return {kind: sorted(names) for kind, names in kinds.items()}


def behaviour(op: str, time: TimeBehaviour) -> str:
    """The time behaviour of an op in a word or two."""
    if isinstance(time, Window):
        sides = [side for side, frames in (("left", time.left), ("right", time.right)) if frames]
        kind = "cached attention" if op in ("attention", "relative_attention") else "window"
        return " ".join([kind, *sides, *(["stride"] if time.stride > 1 else [])])
    if isinstance(time, Spread):
        return "spread"
    return "recurrent" if isinstance(time, Recurrent) else "whole" if isinstance(time, Whole) else "pointwise"


def _scheme(how: object) -> str:
    scheme, bits, group = (getattr(how, name, None) for name in ("scheme", "bits", "group"))
    if how is None:
        return "none"
    scheme = f"{scheme} activations" if getattr(how, "activations", None) else scheme
    return str(scheme) + (f" {bits} bits" + (f" group {group}" if group else "") if scheme == "palette" else "")
