"""A fault in a kernel is found before a Mac would show it."""

from __future__ import annotations

import pytest
import torch

from mctc.targets.torch.runtime import rnnt_loss_gpu

from . import engine, front_end, scan, torch_mps
from .conftest import forget_libraries
from .engine import KernelError
from .errors import Check
from .faults import ENGINE, FAULTS, FRONT_END, LAUNCH, RULES, STAGES, VALUES, Fault
from .text_rules import violations
from .torch_mps import LaunchError

pytestmark = pytest.mark.skipif(engine.missing() is not None, reason=engine.missing() or "")


class Refused(Exception):
    """The text did not pass the check that this names."""


def first_check_to_find(fault: Fault, check: Check, monkeypatch: pytest.MonkeyPatch) -> str:
    def compile_shader(text: str) -> torch_mps.Library:
        text = fault.edited(text)
        if violations(text):
            raise Refused(RULES)
        if front_end.missing() is None and front_end.complaints(text):
            raise Refused(FRONT_END)
        return torch_mps.Library(text)

    monkeypatch.setattr(torch.mps, "compile_shader", compile_shader)
    forget_libraries()
    try:
        return VALUES if check() > 1 else "nothing"
    except Refused as refused:
        return str(refused)
    except LaunchError:
        return LAUNCH
    except KernelError as error:
        return ENGINE[str(error).split(": ")[1]]


QUICK = (  # one for each check that finds
    "selective_scan_forward: an atomic sum",
    "selective_scan_forward: a literal in fp64",
    "rnnt_alphas: a tensor read as another type",
    "rnnt_alphas: barrier 1 of 2 left out",
    "rnnt_alphas: columns past the last return early",
    "rnnt_gradients: no clamp of the frames read ahead",
    "rnnt_gradients: the gradient of the loss left out",
    "selective_scan_forward: the first state left out",
)


@pytest.mark.usefixtures("mps")
@pytest.mark.quick(*QUICK)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.within or fault.kernel}: {fault.what}")
def test_a_fault_is_found(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    if fault.found == FRONT_END and front_end.missing() is not None:
        pytest.skip(str(front_end.missing()))
    if fault.case == "more columns than a threadgroup":
        monkeypatch.setattr(rnnt_loss_gpu, "WIDTH", 32)
    scan.cut(fault.layout, monkeypatch)
    check = STAGES[fault.kernel](fault.case)
    assert check() < 1
    assert first_check_to_find(fault, check, monkeypatch) == fault.found
