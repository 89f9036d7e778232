"""The harness of the tests that need a Mac, tried with stand-ins: it passes what is right and fails what is not."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from mctc.numerics.limits import FP16
from mctc.runtime.built import open_built
from tests.mac.conftest import Make
from tests.mac.core_ml import CoreMlEngine, differences
from tests.mac.placed import placement
from tests.mac.stand_ins import MLModel, plan


@pytest.mark.quick("packed-single", "io-separate")
@pytest.mark.parametrize("layout", ["single", "separate"])
@pytest.mark.parametrize("state", ["packed", "separate", "io"])
def test_a_sound_runtime_agrees_in_every_result_and_state(built: Make, state: str, layout: str) -> None:
    found = differences(built(state, layout), "CPU_ONLY", MLModel)
    assert FP16.decibels is not None
    assert {key: each.decibels for key, each in found.items() if each.decibels < FP16.decibels} == {}
    held = [key for key in found if key.startswith("encoder.")]
    assert len(held) > 1  # the encoder's result, and its states


def test_a_runtime_that_is_off_by_a_twentieth_does_not(built: Make) -> None:
    found = differences(built("packed", "single"), "CPU_ONLY", partial(MLModel, factor=1.05))
    assert FP16.decibels is not None
    assert min(each.decibels for each in found.values()) < FP16.decibels


def test_states_that_are_not_kept_are_seen(built: Make) -> None:
    class Forgetful(MLModel):
        def predict(self, data, state=None):  # type: ignore[no-untyped-def]
            return super().predict(data, None if state is None else self.make_state())

    found = differences(built("packed", "single"), "ALL", Forgetful)
    assert FP16.decibels is not None
    assert min(each.decibels for key, each in found.items() if key.startswith("encoder.")) < FP16.decibels


def test_the_stand_in_refuses_what_core_ml_refuses(built: Make) -> None:
    function = open_built(built("packed", "single").folder).functions["encoder"]
    opened = CoreMlEngine(function.package, "ALL", MLModel).function(function.stored_as)
    inputs = {each.name: np.zeros(each.type.shape, np.float32) for each in opened.inputs}  # type: ignore[union-attr]
    with pytest.raises(RuntimeError, match="stateful"):
        opened(inputs)
    with pytest.raises(ValueError, match="expected"):
        opened({}, opened.make_state())
    with pytest.raises(RuntimeError, match="no state"):
        opened.make_state()["nothing"]
    other = CoreMlEngine(function.package, "ALL", MLModel).function(function.stored_as)
    with pytest.raises(RuntimeError, match="another model"):
        opened(inputs, other.make_state())
    with pytest.raises(ValueError, match="not found"):
        MLModel(function.package, "ALL", "nothing")


def test_a_firm_prediction_agrees_with_a_plan_or_with_its_opposite(built: Make, tmp_path: Path) -> None:
    package = next(built("packed", "single").folder.glob("*.mlpackage"))
    engine, processor = (placement(package, tmp_path, partial(plan, device=device)) for device in ("ane", "cpu"))
    assert engine.unknown == processor.unknown == ()
    assert engine.decided > 0
    assert engine.agreed + processor.agreed == engine.decided
    assert len(engine.misplaced) == processor.agreed


@pytest.mark.slow  # compiles the kernels; tests/targets/torch has the operations on a CPU
@pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")
def test_the_checks_of_the_gpu_pass_on_the_cpu_and_see_a_wrong_result(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.mac import gpu
    from tests.metal.scan import CASES

    case = CASES["two groups"]
    assert gpu.scan_error(case, "cpu") < case.tolerance
    assert gpu.loss_error("cpu") < 1e-4
    monkeypatch.setattr(gpu, "rnnt_loss", lambda logits, *rest, **how: (logits * 1.01).sum((1, 2, 3)))
    assert gpu.loss_error("cpu") > 1e-2
