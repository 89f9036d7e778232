"""Every way to compute the scan on a CPU agrees with the definition, in values and all gradients."""

from __future__ import annotations

import platform
from types import ModuleType

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from mctc.targets.torch.runtime import native, selective_scan_chunked, selective_scan_cpu, selective_scan_op
from mctc.targets.torch.runtime.selective_scan import selective_scan
from mctc.targets.torch.runtime.selective_scan_reference import sequential
from tests.targets.torch.selective_scan_cases import OPTIONAL, Case, assert_close, computed, expected


@pytest.fixture(params=[selective_scan_cpu, selective_scan_chunked], ids=["native", "chunked"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """What the operation computes by."""
    if request.param is selective_scan_cpu and not selective_scan_cpu.available():
        pytest.skip("no C++ compiler")
    monkeypatch.setattr(selective_scan_op, "backend", lambda x: request.param)
    module: ModuleType = request.param
    return module


@pytest.mark.parametrize("state", [1, 3, 16, 256])
@pytest.mark.parametrize("length", [1, 2, 17, 33, 100])
def test_lengths_and_states(path: ModuleType, length: int, state: int) -> None:
    case = Case(length=length, state=state, channels=5)
    assert_close(case, computed(case), expected(case))


def test_a_long_sequence(path: ModuleType) -> None:
    case = Case(batch=1, channels=3, length=4096, state=2)
    assert_close(case, computed(case), expected(case), tolerance=1e-5)


@pytest.mark.parametrize(("channels", "groups"), [(16, 1), (37, 1), (40, 2), (38, 2), (6, 6), (600, 1)])
def test_channels_and_groups(path: ModuleType, channels: int, groups: int) -> None:
    case = Case(channels=channels, groups=groups, length=20)
    assert_close(case, computed(case), expected(case))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_only_where_it_is_stored(path: ModuleType, dtype: torch.dtype) -> None:
    case = Case(dtype=dtype, channels=20, length=90, state=16)
    assert_close(case, computed(case), expected(case))


@pytest.mark.parametrize("softplus", [False, True])
@pytest.mark.parametrize("option", [*OPTIONAL, None])
def test_options(path: ModuleType, option: str | None, softplus: bool) -> None:
    alone = Case(options=() if option is None else (option,), softplus=softplus, rate=None if softplus else 0.3)
    assert_close(alone, computed(alone), expected(alone))


@pytest.mark.parametrize(
    ("rate", "softplus"), [(50.0, False), (50.0, True), (1e-6, False), (-20.0, True), (-100.0, True), (1e-3, False)]
)
def test_huge_and_tiny_rates(path: ModuleType, rate: float, softplus: bool) -> None:
    case = Case(length=200, state=5, rate=rate, softplus=softplus, options=("D", "z", "h"))
    assert_close(case, computed(case), expected(case))


def test_slow_states_do_not_drift(path: ModuleType) -> None:
    """2000 steps that each forget a millionth: an exponential that is 1e-7 off at 1 would show."""
    case = Case(batch=1, length=2000, state=2, rate=1e-6, softplus=False, options=("h",))
    assert_close(case, computed(case), expected(case), tolerance=1e-5)


def test_views_of_a_split_and_transposed_tensors(path: ModuleType) -> None:
    case = Case(channels=20, groups=2, length=50)

    def laid_out(name: str, each: Tensor) -> Tensor:
        if name in ("x", "B", "z"):  # a part of something wider
            return torch.cat([torch.full_like(each, torch.nan), each, torch.full_like(each, torch.nan)], 1).chunk(3, 1)[
                1
            ]
        return each.mT.contiguous().mT if each.dim() > 1 else each

    assert_close(case, computed(case, laid_out), expected(case))


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.builds(
        Case,
        batch=st.integers(1, 3),
        channels=st.sampled_from([2, 4, 18, 34]),
        length=st.integers(1, 140),
        state=st.integers(1, 9),
        groups=st.sampled_from([1, 2]),
        dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16]),
        options=st.sets(st.sampled_from(OPTIONAL)).map(lambda names: tuple(sorted(names))),
        seed=st.integers(0, 1000),
    )
)
def test_any_shape_and_options(path: ModuleType, case: Case) -> None:
    # Among so many small tensors there are sums that nearly cancel, whose rounding is large beside them.
    assert_close(case, computed(case), expected(case), tolerance=2e-5)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the flags are those of x86")
@pytest.mark.quick("-mno-avx512f")
@pytest.mark.parametrize("flag", ["-mno-avx512f", "-mno-avx"])
def test_processors_with_narrower_vectors(flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not selective_scan_cpu.available():
        pytest.skip("no C++ compiler")
    native.load.cache_clear()
    monkeypatch.setattr(native, "FLAGS", (*native.FLAGS, flag))
    try:
        for dtype in (torch.float32, torch.float16, torch.bfloat16):
            case = Case(channels=22, groups=2, length=75, state=7, dtype=dtype)
            assert_close(case, computed(case), expected(case))
    finally:
        native.load.cache_clear()


def test_no_steps_leave_the_state_as_it_is(path: ModuleType) -> None:
    case = Case(length=0)
    found = computed(case)
    assert found["y"].shape == (2, 6, 0)
    assert torch.equal(found["h_last"].double(), case.arguments()["h"])
    assert torch.equal(found["h"].double(), case.weights()[1])


def test_a_sequence_in_two_calls_is_the_sequence(path: ModuleType) -> None:
    given = {name: each.float() for name, each in Case(length=150).arguments().items()}
    names = ("x", "delta", "A", "B", "C", "D", "z", "delta_bias")

    def part(start: int, end: int, h: Tensor) -> tuple[Tensor, Tensor]:
        cut = [given[name][..., start:end] if name in ("x", "delta", "B", "C", "z") else given[name] for name in names]
        y, last, _ = torch.ops.mctc.selective_scan(*cut, h, True)
        return y, last

    whole, last = part(0, 150, given["h"])
    first, between = part(0, 71, given["h"])
    second, end = part(71, 150, between)
    torch.testing.assert_close(torch.cat([first, second], -1), whole, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(end, last, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("threads", [2, 5])
def test_the_number_of_threads_changes_no_bit(path: ModuleType, threads: int) -> None:
    case = Case(batch=2, channels=70, length=200, state=16)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = computed(case)
        torch.set_num_threads(threads)
        together = computed(case)
    finally:
        torch.set_num_threads(before)
    assert [name for name, each in alone.items() if not torch.equal(each, together[name])] == []


def test_not_a_number_stays_one(path: ModuleType) -> None:
    given = Case(length=40).arguments()
    given["x"][0, 2, 11] = torch.nan
    names = ("x", "delta", "A", "B", "C", "D", "z", "delta_bias", "h")
    y, _, _ = torch.ops.mctc.selective_scan(*(given[name].float() for name in names), True)
    wanted, _ = sequential(**given, softplus=True)
    assert torch.equal(y.isnan(), wanted.isnan())
    assert y.isnan().sum() == 40 - 11


def test_only_the_last_state_may_have_a_gradient(path: ModuleType) -> None:
    given = {name: each.float().requires_grad_() for name, each in Case().arguments().items()}
    _, last, _ = torch.ops.mctc.selective_scan(
        *(given[name] for name in ("x", "delta", "A", "B", "C", "D", "z", "delta_bias", "h")), True
    )
    last.sum().backward()
    wide = {name: each.detach().double().requires_grad_() for name, each in given.items()}
    sequential(**wide, softplus=True)[1].sum().backward()
    torch.testing.assert_close(given["x"].grad, wide["x"].grad.float(), rtol=1e-5, atol=1e-6)
    assert given["C"].grad is not None
    assert not given["C"].grad.any()


def test_the_layout_with_an_axis_of_one_is_the_same_scan(path: ModuleType) -> None:
    flat = {name: each.float() for name, each in Case(channels=4, groups=2).arguments().items()}
    flat |= {name: flat[name].flatten(1, 2) for name in ("B", "C")}
    spread = {name: each.unsqueeze(2) if each.dim() == 3 else each for name, each in flat.items()}
    y, last = selective_scan(**flat, softplus=True)
    y_spread, last_spread = selective_scan(**spread, softplus=True)
    assert torch.equal(y_spread, y.unsqueeze(2))
    assert torch.equal(last_spread, last.unsqueeze(2))
