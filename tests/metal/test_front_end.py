"""Clang refuses what Metal's compiler would refuse."""

from __future__ import annotations

import pytest

from .conftest import needs_clang
from .front_end import complaints

pytestmark = needs_clang

TEXT = """
#include <metal_stdlib>
using namespace metal;

constant float HALF_LIFE = 0.5f;

inline float sum_of(thread const float* values, uint count) {
    float sum = 0.0f;
    for (uint i = 0; i < count; i++) {
        sum += values[i];
    }
    return sum;
}

kernel void scale(device const half* x [[buffer(0)]],
                  device bfloat* y [[buffer(1)]],
                  constant long& length [[buffer(2)]],
                  constant long* sizes [[buffer(3)]],
                  uint3 group [[threadgroup_position_in_grid]],
                  uint lane [[thread_index_in_simdgroup]])
{
    threadgroup float tile[32];
    float values[2];
    tile[lane] = float(x[long(group.x) * sizes[0] + lane]);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    values[0] = tile[31 - lane] * HALF_LIFE;
    values[1] = simd_shuffle_xor(values[0], ushort(1));
    if (lane < length) {
        y[lane] = bfloat(precise::exp2(sum_of(values, 2)));
    }
}
"""
FAULTS = {
    "a pointer without an address space": ("thread const float* values", "const float* values", "no address space"),
    "a pointer into another address space": ("sum_of(values, 2)", "sum_of(tile, 2)", "no matching function"),
    "a write to const memory": ("y[lane] = bfloat", "x[lane] = half", "not assignable"),
    "a write to a constant": ("if (lane < length)", "length = 1; if (lane < length)", "not assignable"),
    "a literal in fp64": ("HALF_LIFE;", "0.5;", "double precision"),
    "a variable in fp64": ("float sum = 0.0f", "double sum = 0.0f", "double"),
    "a store that narrows by itself": ("bfloat(precise::exp2(sum_of(values, 2)))", "values[0]", "loses floating-point"),
    "an index cut to 32 bits": ("if (lane < length)", "uint n = length; if (lane < n)", "loses integer precision"),
    "a function that Metal has not": ("precise::exp2(", "precise::expm1(", "expm1"),
    "a function that the kernels may not use": ("precise::exp2(", "tanh(", "tanh"),
    "a reserved word for a name": ("float values[2];", "float values[2]; uint thread = 0;", "expected"),
    "threadgroup memory in a block": ("float values[2];", "float values[2]; { threadgroup float t[1]; }", "outermost"),
    "threadgroup memory in a function": ("float sum = 0.0f;", "threadgroup float sum[1];", "non-kernel"),
    "threadgroup memory with a first value": ("tile[32];", "tile[32] = {0.0f};", "cannot have an initializer"),
    "an array whose length is not constant": ("float values[2];", "float values[length];", "not a constant expression"),
    "a bfloat in a SIMD operation": ("values[0], ushort(1)", "y[0], ushort(1)", "ambiguous|no matching"),
}


def test_a_text_within_the_rules_passes() -> None:
    assert complaints(TEXT) == ()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_refused(fault: str) -> None:
    old, new, said = FAULTS[fault]
    assert TEXT.count(old) == 1
    line = 1 + TEXT[: TEXT.index(old)].count("\n")
    found = complaints(TEXT.replace(old, new))
    assert any(each.startswith(f"line {line}: ") for each in found), found
    assert any(part in each for each in found for part in said.split("|")), found
