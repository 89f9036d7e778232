"""How the scan is spread over a GPU: every state held, whole chunks, groups that exist, memory within its share."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mctc.targets.torch.runtime import selective_scan_plan
from mctc.targets.torch.runtime.selective_scan_gpu import checkpoints_shape, checkpoints_type, plan
from mctc.targets.torch.runtime.selective_scan_plan import CHOICES, Mapping, Plan

SHAPES = [(16, 1024, 512), (8, 512, 1500), (32, 288, 375), (1, 1024, 2048), (1, 1024, 16384)]  # batch, channels, L
H200 = 132 * selective_scan_plan.THREADS_OF_CORE


def kept_bytes(dtype: torch.dtype) -> int:
    return checkpoints_type(torch.empty(0, dtype=dtype)).itemsize


def planned(
    shape: tuple[int, int, int], state: int, groups: int, dtype: torch.dtype, threads: int | None = None
) -> Plan:
    batch, channels, length = shape
    x = torch.empty(batch, channels, length, dtype=dtype, device="meta")
    if threads is None:
        return plan(x, x.new_empty(channels, state), x.new_empty(batch, groups, state, length))
    return selective_scan_plan.plan(*shape, state, groups, dtype.itemsize, kept_bytes(dtype), threads)


@given(
    batch=st.integers(1, 64),
    channels=st.integers(1, 600),
    groups=st.integers(1, 4),
    length=st.integers(1, 20000),
    state=st.integers(1, 256),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_every_shape_has_a_plan(
    batch: int, channels: int, groups: int, length: int, state: int, dtype: torch.dtype
) -> None:
    chosen = planned((batch, channels * groups, length), state, groups, dtype)
    for mapping in (chosen.forward, chosen.backward):
        assert mapping.lanes * mapping.held >= state
        assert mapping.lanes in (4, 8, 16, 32)
        assert mapping.threads <= 1024
    for chunk in (chosen.forward_chunk, chosen.backward_chunk):
        assert chunk > 0
        assert -(-length // chunk) <= selective_scan_plan.MOST_CHUNKS
    assert 1 <= chosen.partials <= -(-channels // chosen.backward.channels)


def test_a_chunk_that_splits_an_interval_is_refused() -> None:
    mapping = Mapping(4, 4, 16, 4)
    with pytest.raises(ValueError, match="multiple of the 32 steps"):
        Plan(mapping, mapping, 32, forward_chunk=48, backward_chunk=64, partials=1)


def test_an_interval_that_splits_a_tile_is_refused() -> None:
    mapping = Mapping(4, 4, 16, 4)
    with pytest.raises(ValueError, match="whole tiles"):
        Plan(mapping, mapping, 24, forward_chunk=48, backward_chunk=48, partials=1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_what_is_left_beside_the_gradients_is_a_quarter_at_most(
    shape: tuple[int, int, int], dtype: torch.dtype
) -> None:
    """Stored states, ends of chunks with their totals, and partial sums, over x, delta, y, B, C and their gradients."""
    (batch, channels, length), state = shape, 16
    chosen = planned(shape, state, 1, dtype, H200)
    chunks = -(-length // chosen.backward_chunk)
    stored = -(-length // chosen.interval) * channels * state
    of_chunks = chunks * channels * (2 * state + 3)  # the end of its state and dA; the total of delta, dD and dbias
    partial = 2 * chosen.partials * state * length
    extra = batch * (4 * of_chunks + kept_bytes(dtype) * (stored + partial))
    over_time = 2 * batch * length * (3 * channels + 2 * state) * dtype.itemsize
    assert extra <= 0.25 * over_time


def test_few_channels_are_cut_into_chunks_and_many_are_not() -> None:
    few, many = (planned((batch, 1024, 2048), 16, 1, torch.float32, H200) for batch in (1, 64))
    assert few.forward_chunk < 2048
    assert few.backward_chunk < 2048
    assert (many.forward_chunk, many.backward_chunk) == (2048, 2048)


@pytest.mark.parametrize(
    ("batch", "length", "state", "dtype", "expected"),
    [
        (1, 2048, 16, torch.bfloat16, True),
        (1, 16384, 16, torch.float16, True),
        (1, 2048, 16, torch.float32, False),  # slower there
        (64, 2048, 16, torch.bfloat16, False),  # channels enough
        (1, 2040, 16, torch.bfloat16, False),  # no whole steps of a lane
        (1, 560, 16, torch.bfloat16, False),  # a second tile for 48 steps
        (1, 2048, 15, torch.bfloat16, False),  # no whole pairs of states
        (1, 2048, 64, torch.bfloat16, True),
        (1, 2048, 66, torch.bfloat16, False),  # more states than were measured
        (8, 2048, 16, torch.bfloat16, True),  # two chunks
    ],
)
def test_few_channels_in_16_bits_have_time_across_lanes(
    batch: int, length: int, state: int, dtype: torch.dtype, expected: bool
) -> None:
    shape, sizes = (batch, 1024, length, state, 1), (dtype.itemsize, kept_bytes(dtype))
    chosen = selective_scan_plan.plan(*shape, *sizes, H200, over_lanes=True)
    assert (chosen.over_lanes is not None) == expected
    assert selective_scan_plan.plan(*shape, *sizes, H200).over_lanes is None


@pytest.mark.parametrize(("state", "together"), [(2, 2), (6, 2), (8, 4), (16, 4)])
def test_four_states_lie_side_by_side_where_all_come_in_fours(state: int, together: int) -> None:
    chosen = selective_scan_plan.plan(1, 1024, 2048, state, 1, 2, 2, H200, over_lanes=True).over_lanes
    assert chosen is not None
    assert chosen.together == together


def test_too_few_channels_for_lanes_are_cut_into_chunks() -> None:
    few, enough = (selective_scan_plan.plan(1, n, 2048, 16, 1, 2, 2, H200, over_lanes=True) for n in (696, 712))
    assert (few.over_lanes, few.forward_chunk < 2048) == (None, True)
    assert enough.over_lanes is not None


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: str(choice.state))
def test_stored_states_are_as_many_as_the_plan_s_intervals(choice: selective_scan_plan.Choice) -> None:
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        x = torch.empty(2, 8, 333, dtype=dtype, device="meta")
        A, B = x.new_empty(8, choice.state), x.new_empty(2, 1, choice.state, 333)
        assert checkpoints_shape(x, A, B) == (2, -(-333 // plan(x, A, B).interval), 8, choice.state)


def test_stored_states_of_two_bytes_lie_twice_as_close_and_twice_as_many_share_a_sum() -> None:
    coarse, fine = (planned(SHAPES[0], 16, 1, dtype, H200) for dtype in (torch.float16, torch.bfloat16))
    assert fine.interval == coarse.interval // 2
    assert fine.partials == 2 * coarse.partials
