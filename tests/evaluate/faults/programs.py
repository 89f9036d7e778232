"""For every fault a program that it changes on the inputs beside it, and one that it acts on, or nearly, without."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import cleandoc
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """wrong: the first output with the fault, where the wrong values are published. calls: how many are made."""

    fault: str
    program: str
    inputs: dict[str, Any]
    wrong: Any = None
    calls: int = 1

    @property
    def text(self) -> str:
        return cleandoc(self.program)


def half(*values: float) -> Any:
    return np.array([values], np.float16)


GATHER = """
    x: fp16[3, 2]
    i: int32[1, 1]
    y: fp16[1, 2] = gather_nd(x=x, indices=i)
    return y
"""
ROWS = np.array([[1, 2], [3, 4], [5, 6]], np.float16)
TWO_WRITES = """
    x: fp16[1, 4]
    s: state[fp16[1, 4]]
    a: fp16[1, 4] = read_state(input=s)
    b: fp16[1, 4] = add(x=a, y=x)
    write_state(input=s, data=b)
    c: fp16[1, 4] = mul(x=b, y=2.0)
    write_state(input=s, data=c)
    return a
"""
ONE_WRITE = """
    x: fp16[1, 4]
    s: state[fp16[1, 4]]
    a: fp16[1, 4] = read_state(input=s)
    b: fp16[1, 4] = add(x=a, y=x)
    write_state(input=s, data=b)
    return a
"""
TWO_STATES = """
    x: fp16[1, 1]
    s: state[fp16[1, 4]]
    t: state[fp16[1, 4]]
    a: fp16[1, 4] = read_state(input=s)
    b: fp16[1, 4] = slice_update(x=a, update=x, begin=[0, 1], end=[1, 2])
    write_state(input=s, data=b)
    c: fp16[1, 4] = read_state(input=t)
    d: fp16[1, 4] = slice_update(x=c, update=x, begin=[0, 2], end=[1, 3])
    write_state(input=t, data=d)
    y: fp16[1, 4] = add(x=a, y=c)
    return y
"""
SLICE = """
    x: fp16[1, 4]
    y: fp16[1, 2] = slice_by_index(x=x, begin=[0, {}], end=[1, {}])
    return y
"""
ONE_OP = """
    x: fp16[1, {}]
    y: fp16[1, {}] = {}(x=x)
    return y
"""
LOG_SUM_EXP = """
    x: fp16[1, 32]
    y: fp16[1, 1] = reduce_log_sum_exp(x=x, axes=[1], keep_dims=True)
    return y
"""
LOG = """
    x: fp16[1, 2]
    y: fp16[1, 2] = log(x=x, epsilon=0.0)
    return y
"""
CASTS = """
    x: {}[1, 3]
    i: int32[1, 3] = cast(x=x, dtype="int32")
    y: {}[1, 3] = cast(x=i, dtype="{}")
    return y
"""
MOD = """
    x: int32[1, 2]
    y: int32[1, 2] = mod(x=x, y=int32[1, 2](3))
    return y
"""
ATTENTION = """
    q: fp16[{0}, 4, 8]
    a: fp16[{0}, 4, 4] = matmul(x=q, y=q, transpose_y=True)
    b: fp16[{0}, 4, 4] = mul(x=a, y=0.5)
    p: fp16[{0}, 4, 4] = softmax(x=b, axis=2)
    y: fp16[{0}, 4, 8] = matmul(x=p, y=q)
    return y
"""
SCALES = """
    a: int8[1, 4]
    b: int8[1, 4]
    u: fp16[1, 4] = dequantize(input=a, scale=fp16(0.5))
    v: fp16[1, 4] = dequantize(input=b, scale=fp16({}))
    w: fp16[1, 4] = mul(x=u, y=v)
    q: int8[1, 4] = quantize(input=w, scale=fp16(0.25), output_dtype="int8")
    y: fp16[1, 4] = dequantize(input=q, scale=fp16(0.25))
    return y
"""
ONES = np.array([[2, 2, 2, 2]], np.int8)


def ramp(*shape: int) -> Any:
    return np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float16).reshape(shape)


CHANGED = (
    Case("gather-nd-slice-0", GATHER, {"x": ROWS, "i": np.array([[2]], np.int32)}, [[1, 2]]),
    Case("gather-nd-zeros", GATHER, {"x": ROWS, "i": np.array([[2]], np.int32)}, [[0, 0]]),
    Case("second-write-lost", TWO_WRITES, {"x": half(1, 1, 1, 1)}, calls=2),
    Case("second-state-lost", TWO_STATES, {"x": half(3)}, calls=2),
    Case("slice-overflow", SLICE.format(2, 4), {"x": half(1, 2, 3, 5000)}, [[3, np.inf]]),
    Case("softplus-cliff", ONE_OP.format(2, 2, "softplus"), {"x": half(10, 11)}, [[10, 0]]),
    Case("log-sum-exp-cliff", LOG_SUM_EXP, {"x": np.full((1, 32), 7.7, np.float16)}, [[0]]),
    Case("subnormal-flush", ONE_OP.format(2, 2, "sqrt"), {"x": half(1e-6, 4)}, [[0, 2]]),
    Case("log-of-zero", LOG, {"x": half(0, 1)}, [[-45440, 0]]),
    Case("round-away", ONE_OP.format(3, 3, "round"), {"x": half(0.5, 2.5, -2.5)}, [[1, 3, -3]]),
    Case("identity-floor", ONE_OP.format(2, 2, "floor"), {"x": half(1.5, -1.5)}, [[1.5, -1.5]]),
    Case("dropped-casts", CASTS.format("fp16", "fp16", "fp16"), {"x": half(1.5, -1.5, 2)}, [[1.5, -1.5, 2]]),
    Case("mod-sign", MOD, {"x": np.array([[-7, 7]], np.int32)}, [[2, 1]]),
    Case("attention-batch-10", ATTENTION.format(10), {"q": ramp(10, 4, 8)}),
    Case("wrong-scale", SCALES.format(1.0), {"a": ONES, "b": ONES}, [[4, 4, 4, 4]]),
)
UNCHANGED = (
    Case("gather-nd-slice-0", GATHER, {"x": ROWS, "i": np.array([[0]], np.int32)}),
    Case("gather-nd-zeros", GATHER, {"x": np.zeros((3, 2), np.float16), "i": np.array([[2]], np.int32)}),
    Case("second-write-lost", ONE_WRITE, {"x": half(1, 1, 1, 1)}, calls=2),
    Case("second-state-lost", ONE_WRITE, {"x": half(1, 1, 1, 1)}, calls=2),
    Case("slice-overflow", SLICE.format(2, 4), {"x": half(5000, 2, 3, 4090)}),
    Case("softplus-cliff", ONE_OP.format(2, 2, "softplus"), {"x": half(10, -11)}),
    Case("log-sum-exp-cliff", LOG_SUM_EXP, {"x": np.full((1, 32), 7.5, np.float16)}),
    Case("subnormal-flush", ONE_OP.format(2, 2, "sqrt"), {"x": half(1e-4, 4)}),
    Case("log-of-zero", LOG, {"x": half(1e-4, 1)}),
    Case("round-away", ONE_OP.format(3, 3, "round"), {"x": half(1.5, 2.4, -2.6)}),
    Case("identity-floor", ONE_OP.format(2, 2, "floor"), {"x": half(1, -2)}),
    Case("dropped-casts", CASTS.format("fp16", "fp16", "fp16"), {"x": half(1, -1, 2)}),
    Case("mod-sign", MOD, {"x": np.array([[6, 7]], np.int32)}),
    Case("attention-batch-10", ATTENTION.format(9), {"q": ramp(9, 4, 8)}),
    Case("wrong-scale", SCALES.format(0.5), {"a": ONES, "b": ONES}),
)
