"""The engine finds what a GPU would only show as a wrong number, sometimes; and runs right what is right."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from . import torch_mps
from .conftest import needs_engine
from .engine import KernelError

pytestmark = needs_engine

# One source, a kernel a case: a compilation costs more than all launches together.
KERNELS = """
#include <metal_stdlib>
using namespace metal;

kernel void neighbours(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],
                       uint i [[thread_position_in_threadgroup]], uint group [[threadgroup_position_in_grid]]) {
    threadgroup float tile[128];
    tile[i] = x[group * 128 + i];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    y[group * 128 + i] = tile[(i + 1) % 128] - simd_shuffle_xor(tile[i], ushort(1));
}

kernel void no_barrier(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],
                       uint i [[thread_position_in_threadgroup]]) {
    threadgroup float tile[128];
    tile[i] = x[i];
    y[i] = tile[(i + 1) % 128];
}

kernel void barrier_of_the_wrong_memory(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],
                                        uint i [[thread_position_in_threadgroup]]) {
    y[i] = x[i];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    y[i] += y[(i + 1) % 128];
}

kernel void second_round(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],
                         uint i [[thread_position_in_threadgroup]]) {
    threadgroup float tile[128];
    float sum = 0.0f;
    for (int round = 0; round < 2; ++round) {
        tile[i] = x[i];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        sum += tile[(i + 1) % 128];
    }
    y[i] = sum;
}

kernel void simd_barrier(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],
                         uint i [[thread_position_in_threadgroup]]) {
    threadgroup float tile[128];
    tile[i] = x[i];
    simdgroup_barrier(mem_flags::mem_threadgroup);
    y[i] = tile[i ^ 1];
}

kernel void simd_barrier_across(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],
                                uint i [[thread_position_in_threadgroup]]) {
    threadgroup float tile[128];
    tile[i] = x[i];
    simdgroup_barrier(mem_flags::mem_threadgroup);
    y[i] = tile[i ^ 32];
}

kernel void divergent_barrier(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],
                              uint i [[thread_position_in_threadgroup]]) {
    if (i < 64) {
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    y[i] = x[i];
}

kernel void divergent_shuffle(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],
                              uint i [[thread_position_in_threadgroup]]) {
    y[i] = i % 32 < 16 ? simd_shuffle_xor(x[i], ushort(1)) : 0.0f;
}

kernel void beyond_the_end(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],
                           uint i [[thread_position_in_threadgroup]]) {
    y[i] = x[i + 1];
}

kernel void beyond_the_array(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],
                             uint i [[thread_position_in_threadgroup]]) {
    threadgroup float tile[127];
    tile[i] = x[i];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    y[i] = tile[i / 2];
}

kernel void never_written(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],
                          uint i [[thread_position_in_threadgroup]]) {
    threadgroup float tile[128];
    if (i > 0) {
        tile[i] = x[i];
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    y[i] = tile[127 - i];
}

kernel void sum_into_output(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],
                            uint i [[thread_position_in_threadgroup]]) {
    y[i] += x[i];
}

kernel void two_writers(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],
                        uint i [[thread_position_in_threadgroup]]) {
    y[i / 2] = x[i];
}

kernel void shuffle_past_the_edge(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],
                                  uint i [[thread_position_in_threadgroup]]) {
    y[i] = simd_shuffle_down(x[i], ushort(1));
}
"""

FAULTS = {
    "no_barrier": "race|uninitialised",
    "barrier_of_the_wrong_memory": "race",
    "second_round": "race",
    "simd_barrier_across": "race|uninitialised",
    "divergent_barrier": "divergence",
    "divergent_shuffle": "divergence",
    "beyond_the_end": "out of bounds",
    "beyond_the_array": "out of bounds",
    "never_written": "uninitialised",
    "sum_into_output": "uninitialised",
    "two_writers": "race",
}


@pytest.fixture(scope="module")
def kernels() -> torch_mps.Library:
    return torch_mps.compile_shader(KERNELS)


def output(like: torch.Tensor) -> torch.Tensor:
    with torch_mps.Poison():
        return torch.empty_like(like)


def test_threads_exchange_through_a_tile_and_a_shuffle(kernels: torch_mps.Library) -> None:
    x = torch.randn(3 * 128)
    y = output(x)
    kernels.neighbours(x, y, threads=(3 * 128, 1, 1), group_size=(128, 1, 1))
    tiles = x.view(3, 128)
    assert torch.equal(y.view(3, 128), tiles.roll(-1, 1) - tiles.view(3, 64, 2).flip(2).view(3, 128))


def test_a_simd_barrier_orders_the_lanes_of_a_simd_group(kernels: torch_mps.Library) -> None:
    x = torch.randn(128)
    y = output(x)
    kernels.simd_barrier(x, y, threads=(128, 1, 1), group_size=(128, 1, 1))
    assert torch.equal(y, x.view(64, 2).flip(1).view(128))


@pytest.mark.parametrize("kernel", FAULTS)
def test_a_fault_is_named_with_its_line(kernels: torch_mps.Library, kernel: str) -> None:
    x = torch.randn(128)
    with pytest.raises(KernelError, match=rf"(?s){kernel}: ({FAULTS[kernel]}).* line \d+"):
        getattr(kernels, kernel)(x, output(x), threads=(128, 1, 1), group_size=(128, 1, 1))


def test_the_line_is_that_of_the_access(kernels: torch_mps.Library) -> None:
    line = 1 + KERNELS.split("\n").index("    y[i] = x[i + 1];")
    with pytest.raises(KernelError, match=f"line {line} "):
        kernels.beyond_the_end(torch.randn(128), output(torch.randn(128)), threads=(128, 1, 1), group_size=(128, 1, 1))


def test_lines_are_those_of_the_file_without_the_defines_in_front() -> None:
    line = 1 + KERNELS.split("\n").index("    y[i] = x[i + 1];")
    x = torch.randn(128)
    library = torch_mps.compile_shader("#define ONE 1\n#define TWO 2\n" + KERNELS)
    with pytest.raises(KernelError, match=f"line {line} "):
        library.beyond_the_end(x, output(x), threads=(128, 1, 1), group_size=(128, 1, 1))


def test_what_lies_between_the_elements_of_a_view_is_not_the_tensors(kernels: torch_mps.Library) -> None:
    both = torch.randn(128, 2)
    with pytest.raises(KernelError, match=r"out of bounds: .* of 'x' .*not the tensor's"):
        kernels.sum_into_output(both[:, 0], torch.zeros(128), threads=(128, 1, 1), group_size=(128, 1, 1))


def test_a_lane_beyond_the_simd_group_hands_over_nothing(kernels: torch_mps.Library) -> None:
    x = torch.randn(128)
    y = output(x)
    kernels.shuffle_past_the_edge(x, y, threads=(128, 1, 1), group_size=(128, 1, 1))
    assert y[31::32].isnan().all()
    assert torch.equal(y[:31], x[1:32])


def test_a_run_after_a_failed_one_is_not_affected(kernels: torch_mps.Library) -> None:
    x = torch.randn(128)
    with pytest.raises(KernelError):
        kernels.divergent_barrier(x, output(x), threads=(128, 1, 1), group_size=(128, 1, 1))
    y = output(x)
    kernels.simd_barrier(x, y, threads=(128, 1, 1), group_size=(128, 1, 1))
    assert torch.equal(y, x.view(64, 2).flip(1).view(128))


def test_kernels_share_the_stacks_of_their_threads(kernels: torch_mps.Library) -> None:
    """A process has no more than 65,530 mappings on Linux, and a stack is two."""
    x, counts = torch.randn(128), []
    for library in (kernels, torch_mps.compile_shader("// another\n" + KERNELS)):
        library.simd_barrier(x, output(x), threads=(128, 1, 1), group_size=(128, 1, 1))
        counts.append(len(Path("/proc/self/maps").read_text().splitlines()))
    assert counts[1] - counts[0] < 128
