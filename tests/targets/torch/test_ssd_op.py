"""The scan of Mamba-2 as an operation: its values and gradients, and what autograd and autocast see."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mctc.targets.torch.runtime import ssd_chunked
from mctc.targets.torch.runtime.ssd import ssd
from mctc.targets.torch.runtime.ssd_chunked import chunked
from tests.targets.torch.ssd_cases import Case, step_by_step

CASES = [
    Case(),
    Case(options=()),
    Case(per_head=False, groups=4),
    Case(batch=1, heads=3, width=5, groups=1, states=7, length=1),
    Case(length=ssd_chunked.CHUNK + 1, groups=1),
]


def operation(case: Case, *given: Tensor | None) -> tuple[Tensor, Tensor]:
    y, last, _ = torch.ops.mctc.ssd(*given, case.groups, True)
    return y, last


@pytest.mark.parametrize("case", CASES)
def test_the_operation_is_the_scan_step_by_step(case: Case) -> None:
    given = case.inputs(torch.float64)
    torch.testing.assert_close(operation(case, *given), step_by_step(given, case.groups), rtol=1e-10, atol=1e-10)


def test_more_chunks_than_frames_of_one_are_passed_on_in_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssd_chunked, "CHUNK", 4)
    case = Case(length=75)  # 19 chunks, 5 stretches of 4, two of those
    given = case.inputs(torch.float64)
    torch.testing.assert_close(chunked(*given, case.groups), step_by_step(given, case.groups), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("case", CASES[:3])
def test_gradients_are_those_of_the_scan_step_by_step(case: Case) -> None:
    found, wanted = (
        [None if each is None else each.requires_grad_() for each in case.inputs(torch.float64)] for _ in range(2)
    )
    upstream = case.upstream(torch.float64)
    gradients = []
    for leaves, results in (
        (found, operation(case, *found)),
        (wanted, step_by_step(tuple(wanted), case.groups)),  # type: ignore[arg-type]
    ):
        gradients.append(torch.autograd.grad(results, [each for each in leaves if each is not None], upstream))
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-9)


def test_gradients_are_those_of_finite_differences() -> None:
    case = Case(batch=1, heads=2, width=2, groups=1, states=2, length=4)
    given = [None if each is None else each.requires_grad_() for each in case.inputs(torch.float64)]
    assert torch.autograd.gradcheck(lambda *each: operation(case, *each), given)


def test_a_result_that_nobody_reads_has_no_gradient_to_pass_on() -> None:
    case = Case(length=9)
    given = [each.requires_grad_() for each in case.inputs(torch.float64) if each is not None]
    operation(case, *given)[1].sum().backward()
    x, c = (given[0].grad, given[4].grad)
    assert x is not None
    assert x.any()
    assert c is not None
    assert not c.any(), "C has no part in the state"


@pytest.mark.parametrize(
    "test",
    [
        *("test_schema", "test_faketensor", "test_autograd_registration"),
        pytest.param("test_aot_dispatch_dynamic", marks=pytest.mark.slow),
    ],
)
def test_torch_finds_the_operation_sound(test: str) -> None:
    case = Case(length=20)
    given = [None if each is None else each.requires_grad_() for each in case.inputs(torch.float32)]
    torch.library.opcheck(torch.ops.mctc.ssd.default, (*given, case.groups, True), test_utils=test)


def test_decays_of_frames_that_forget_all_leave_the_others_exact() -> None:
    case = Case(per_head=False)
    x, weight, decay, *rest = case.inputs(torch.float32)
    decay[:, :, 20] = -1e4
    found, wanted = operation(case, x, weight, decay, *rest), step_by_step((x, weight, decay, *rest), case.groups)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_under_autocast_only_what_has_channels_over_time_is_narrow() -> None:
    case = Case()
    given = case.inputs(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        y, last = operation(case, *given)
    assert (y.dtype, last.dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(y.float(), step_by_step(given, case.groups)[0], rtol=0.05, atol=0.05)


def test_a_module_has_its_frames_behind_a_unit_axis() -> None:
    case = Case()
    x, weight, decay, b, c, skip, h = case.inputs(torch.float64)
    assert h is not None
    given = [each.unsqueeze(2) for each in (x, weight, b, c, h)]
    y, last = ssd(given[0], given[1], decay, given[2], given[3], skip, given[4], groups=case.groups)
    wanted = step_by_step(case.inputs(torch.float64), case.groups)
    torch.testing.assert_close((y.squeeze(2), last.squeeze(2)), wanted, rtol=1e-10, atol=1e-10)
