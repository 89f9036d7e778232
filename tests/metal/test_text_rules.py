"""Rules of a Metal text that no compiler here knows."""

from __future__ import annotations

import pytest

from .text_rules import violations

TEXT = """
#include <metal_stdlib>
using namespace metal;

// A double dash in a comment is no fp64.
kernel void copy(device const float* x [[buffer(0)]],
                 device float* y [[buffer(1)]],
                 constant long& length [[buffer(2)]],
                 uint i [[thread_position_in_threadgroup]],
                 uint group [[threadgroup_position_in_grid]],
                 uint lane [[thread_index_in_simdgroup]])
{
    threadgroup float tile[32];
    tile[lane] = x[i];
    y[i] = tile[lane];
}
"""
FAULTS = {
    "a Greek letter in a comment": ("A double dash", "A \u03b1", "not ASCII"),
    "fp64": ("threadgroup float tile", "double d; threadgroup float tile", "no Apple GPU"),
    "dynamic threadgroup memory": (
        "uint lane [[thread_index_in_simdgroup]]",
        "uint lane [[threadgroup(0)]]",
        "dynamic",
    ),
    "an atomic": ("y[i] = tile[lane]", "atomic_fetch_add_explicit(y, 1)", "repeat"),
    "a threadgroup pointer": ("y[i] = tile[lane]", "threadgroup float* t = tile", "pointers"),
    "a reserved word for a name": ("threadgroup float tile", "int visible; threadgroup float tile", "reserved word"),
    "if constexpr": ("y[i] = tile[lane]", "if constexpr (1) {}", "version 4"),
    "buffers in another order": ("[[buffer(2)]]", "[[buffer(3)]]", "argument 2"),
    "a constant at any offset": ("device const float* x", "constant half* x", "device const"),
    "positions of two kinds": ("uint group", "uint3 group", "all uint"),
    "an unknown attribute": ("thread_index_in_simdgroup", "thread_execution_width", "unknown attribute"),
    "an index of three": ("uint lane", "uint3 lane", "one uint"),
}


def test_a_text_within_the_rules_passes() -> None:
    assert violations(TEXT) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str) -> None:
    old, new, said = FAULTS[fault]
    assert TEXT.count(old) == 1
    found = violations(TEXT.replace(old, new))
    assert any(said in each for each in found), found
