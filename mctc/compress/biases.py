"""Biases that make up for what rounding a weight changes in its layer's mean result.

The mean error (q - w) E[x] is subtracted from the bias (Nagel et al. 2019, arXiv:1906.04721, section 4.2). What the
loss then feels of the error is e' (E[x x'] - E[x] E[x]') e.
"""

from __future__ import annotations

from mctc.compress.layers import is_own
from mctc.ir.ops.convolution import Conv1d, Conv2d
from mctc.ir.ops.leaf import parameter_of
from mctc.ir.ops.linear import Linear
from mctc.ir.ops.recurrent import Lstm
from mctc.ir.program import Parameter, Program


def biases_of(program: Program) -> dict[str, Parameter]:
    """The bias that is added to what a weight gives, by the weight's name; of weights and biases that one op reads and
    that are tensors of the checkpoint."""
    found: dict[str, Parameter] = {}
    read: dict[str, int] = {}
    for _, op in program.ops():
        for value in op.operands:
            if name := parameter_of(value):
                read[name] = read.get(name, 0) + 1
        if not isinstance(op, (Linear, Conv1d, Conv2d, Lstm)) or getattr(op, "groups", 1) > 1:
            continue
        bias = parameter_of(op.operand("bias"))
        weights = [name for operand in op.matrices if (name := parameter_of(op.operand(operand)))]
        if bias and is_own(program.parameters[bias]):
            found |= dict.fromkeys(weights, program.parameters[bias])
    return {name: bias for name, bias in found.items() if read[name] == read[bias.name] == 1}
