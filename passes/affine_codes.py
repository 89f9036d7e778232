"""Which quantised weights a stack multiplies as codes, and which it holds in fp16."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mctc.ir.ops.leaf import parameter_of
from mctc.ir.ops.linear import Linear
from mctc.ir.program import Op, Parameter, Program
from mctc.rewrite.base import Context, Pass, Stores

GROUP = 32  # inputs that share a scale: what MLX's affine form has as its least, and rows have to divide by


class AffineCodes(Pass):
    """Says of int8 and int4 weights how MLX holds them: linear layers as codes, whose products stay in fp32.

    A linear layer of its own whose inputs divide into groups of 32 keeps its codes. All else that is quantised (tables,
    kernels, palettes, cells) has no such form: its values are stored as fp16.
    """

    name = "affine-codes"
    promise = Stores()
    stage = "number"
    after = ("channels-last",)

    def run(self, program: Program, context: Context) -> Program:
        if context.stack != "mlx":
            return program
        alone = layers_alone(program)
        parameters = {name: _stored(each, name in alone) for name, each in program.parameters.items()}
        for name, parameter in parameters.items():
            if parameter is not program.parameters[name]:
                wide = parameter.quantization is not None and parameter.quantization.wide
                context.explain(self.name, name, "codes" if wide else "fp16: there are no codes for such a weight")
        return replace(program, parameters=parameters)


def _stored(parameter: Parameter, alone: bool) -> Parameter:
    how = parameter.quantization
    if how is None or how.wide or how.expanded:
        return parameter
    fits = alone and how.scheme in ("int4", "int8") and how.axis == 0 and parameter.type.shape[-1] % GROUP == 0
    return replace(parameter, quantization=replace(how, wide=fits, expanded=not fits))


def layers_alone(program: Program) -> frozenset[str]:
    """Weights of linear layers that are the only op of their instance, and used by nothing else."""
    inside: dict[tuple[str, str], list[Op]] = {}
    users: dict[str, set[str]] = {}
    for name, function in program.functions.items():
        for op in function.ops:
            if op.operands:
                inside.setdefault((name, op.origin.path), []).append(op)
            for value in op.present():
                if parameter := parameter_of(value):
                    users.setdefault(parameter, set()).add(f"{name}:{op.origin.path}")
    return frozenset(_weight(ops[0]) for ops in inside.values() if len(ops) == 1 and _is_layer(ops[0], users))


def _weight(op: Op) -> str:
    return f"{op.origin.path}.weight"


def _is_layer(op: Op, users: Mapping[str, set[str]]) -> bool:
    if not isinstance(op, Linear) or parameter_of(op.weight) != _weight(op) or len(users[_weight(op)]) != 1:
        return False
    return op.bias is None or parameter_of(op.bias) == f"{op.origin.path}.bias"
