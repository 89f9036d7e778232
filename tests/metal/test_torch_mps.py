"""The stand-in for torch.mps refuses a launch that torch or Metal would refuse, or would take for something else."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from . import torch_mps
from .conftest import needs_engine
from .torch_mps import LaunchError

pytestmark = needs_engine

KERNELS = """
#include <metal_stdlib>
using namespace metal;
#define ELEMENT half

[[max_total_threads_per_threadgroup(64)]]
kernel void scale(device const ELEMENT* x [[buffer(0)]],
                  device float* y [[buffer(1)]],
                  constant long& length [[buffer(2)]],
                  constant float& factor [[buffer(3)]],
                  constant long* sizes [[buffer(4)]],
                  constant uint& first [[buffer(5)]],
                  uint3 group [[threadgroup_position_in_grid]],
                  uint3 groups [[threadgroups_per_grid]],
                  uint3 thread_index [[thread_position_in_threadgroup]],
                  uint3 size [[threads_per_threadgroup]])
{
    long i = (group.y * groups.x + group.x) * size.x + thread_index.x;
    if (i < length) {
        y[i] = float(x[i]) * factor + float(sizes[1]) + float(first);
    }
}

kernel void greedy(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],
                   uint i [[thread_position_in_threadgroup]]) {
    threadgroup float tile[8193];
    tile[i] = x[i];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    y[i] = tile[i ^ 1];
}
"""
GRID = {"threads": (128, 2, 1), "group_size": (64, 1, 1)}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "one argument too few": ({"first": None}, "takes 6 arguments, not 5"),
    "a tensor of another type": ({"x": torch.randn(250)}, "torch.float32, declared half"),
    "a tensor for a number": ({"length": torch.zeros(1, dtype=torch.int64)}, "is a tensor, declared constant long&"),
    "a number for a tensor": ({"x": 3}, "where a tensor is declared"),
    "an int for a float": ({"factor": 2}, "arrives as long&, declared float&"),
    "a float for an int": ({"length": 250.0}, "arrives as float&, declared long&"),
    "a list for a number": ({"length": [250]}, "arrives as long[*], declared long&"),
    "a number for a list": ({"sizes": 7}, "arrives as long&, declared long[*]"),
    "floats for ints": ({"sizes": [1.0, 7.0]}, "arrives as float[*], declared long[*]"),
    "an int past 32 bits for a uint": ({"first": 2**33}, "arrives as long&, declared uint&"),
    "a bool": ({"length": True}, "which torch.mps doesn't pass"),
    "a tensor without elements": ({"x": torch.empty(0).half()}, "is empty"),
    "an output that overlaps itself": ({"y": torch.zeros(1).expand(250)}, "elements overlap"),
    "a ragged last group": ({"threads": (120, 2, 1)}, "no positive multiple"),
    "no group": ({"threads": (0, 2, 1)}, "no positive multiple"),
    "two axes for one of them": ({"threads": (128, 2)}, "same rank"),
    "a group of part of a SIMD group": ({"threads": (48, 2, 1), "group_size": (48, 1, 1)}, "multiple of 32"),
    "a group larger than the kernel says": ({"threads": (128, 2, 1), "group_size": (128, 1, 1)}, "at most 64"),
}


@pytest.fixture(scope="module")
def kernels() -> torch_mps.Library:
    return torch_mps.compile_shader(KERNELS)


def arguments() -> dict[str, Any]:
    tensors = {"x": torch.randn(250).half(), "y": torch.zeros(250)}
    return {**tensors, "length": 250, "factor": 2.0, "sizes": [1, 7], "first": 3}


def test_arguments_arrive_as_declared(kernels: torch_mps.Library) -> None:
    given = arguments()
    kernels.scale(*given.values(), **GRID)
    assert torch.equal(given["y"], given["x"].float() * 2 + 10)


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_launch_is_refused(kernels: torch_mps.Library, fault: str) -> None:
    changed, said = WRONG[fault]
    given = {**arguments(), **GRID, **changed}
    grid = {name: given.pop(name) for name in GRID}
    with pytest.raises(LaunchError, match=said):
        kernels.scale(*(each for each in given.values() if each is not None), **grid)


def test_threadgroup_memory_past_32_kib_is_refused(kernels: torch_mps.Library) -> None:
    with pytest.raises(LaunchError, match="32772 bytes of threadgroup memory, of 32768"):
        kernels.greedy(torch.randn(64), torch.zeros(64), threads=(64, 1, 1), group_size=(64, 1, 1))
