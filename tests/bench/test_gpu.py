"""What the measurements on a GPU rest on, as far as it runs without one: the peers' arithmetic, the verdicts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True)
def benchmark_importable(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tree comes last on the path, as in test_bench.py."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(root)])
    yield
    for name in [name for name in sys.modules if name.split(".")[0] in ("bench", "mct_runtime")]:
        del sys.modules[name]


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("peer", ["loop", "associative"])
def test_a_peer_computes_the_scan_as_it_is_defined(peer: str, gated: bool) -> None:
    from bench.gpu import scan_peers
    from bench.gpu.scan_inputs import Inputs, Shape, make
    from bench.gpu.training_runtime import RUNTIME, import_from

    definition = import_from(RUNTIME, "mct_runtime", "selective_scan_reference").sequential
    inputs = make(Shape(2, 19, 6, 5), torch.float32, gated=gated, seed=1, device="cpu")
    inputs = inputs.to(torch.float64, requires_grad=True)

    def by_definition(i: Inputs) -> torch.Tensor:
        y: torch.Tensor = definition(i.x, i.delta, i.A, i.B, i.C, i.D, i.z, i.delta_bias, softplus=True)[0]
        return y

    ours, theirs = by_definition(inputs), getattr(scan_peers, peer)(inputs)
    torch.testing.assert_close(theirs, ours)
    leaves = inputs.leaves()
    assert len(leaves) == (8 if gated else 7)
    for one, other in zip(*(torch.autograd.grad(y, leaves, inputs.dy) for y in (ours, theirs)), strict=True):
        torch.testing.assert_close(other, one)


def test_inputs_start_with_the_steps_of_a_model() -> None:
    from bench.gpu.scan_inputs import Shape, make

    inputs = make(Shape(1, 3, 500, 16), torch.float32, gated=False, seed=2, device="cpu")
    steps = torch.nn.functional.softplus(inputs.delta_bias)
    assert 0.001 <= steps.min() < 0.002
    assert 0.05 < steps.max() <= 0.1001
    assert inputs.A.max() < 0


def test_a_verdict_is_that_of_the_worst_shape() -> None:
    from bench.gpu.gpu_time import GpuTime
    from bench.gpu.scan import Case, Measured, verdicts
    from bench.gpu.scan_inputs import SHAPES

    def measured(index: int, path: str, forward: float, both: float, extra: float) -> Measured:
        case = Case(SHAPES[index], torch.float32, gated=False)
        return Measured(case, path, 0.0, GpuTime(forward, forward, forward, 1), GpuTime(both, both, both, 1), extra)

    found = [
        *(measured(0, "mctc", 1.0, 2.0, 0.10), measured(0, "mamba", 1.5, 2.0, 0.01)),
        *(measured(1, "mctc", 1.0, 2.0, 0.26), measured(1, "mamba", 1.1, 1.8, 0.01)),
    ]
    forward, both, extra = verdicts(found)
    assert (forward.measured, forward.met) == ("1.1x", True)
    assert (both.measured, both.met) == ("0.9x", False)
    assert (extra.measured, extra.met) == ("26.0%", False)
    assert f"{SHAPES[0]} 1.5x" in forward.note


def test_scaling_is_demanded_of_four_gpus_and_a_share_of_one() -> None:
    from bench.gpu.scaling import rows
    from bench.gpu.train_step import Step

    def step(gpus: int, milliseconds: float, share: float | None) -> Step:
        return Step(gpus, milliseconds, 1.0, 2.0, 3.0, 4, 5.0, share, share, [])

    share, two, four = rows([step(1, 90.0, 0.3), step(2, 99.0, None), step(4, 101.0, None)])
    assert (share.measured, share.met) == ("30.0%", False)
    assert (two.measured, two.met) == ("0.909", None)
    assert (four.measured, four.met) == ("0.891", False)


def test_a_folder_without_the_module_is_named(tmp_path: Path) -> None:
    from bench.gpu.training_runtime import import_from

    with pytest.raises(SystemExit, match=r"has no mct_small\.py: name the training/ folder of a build"):
        import_from(tmp_path, "training_absent", "mct_small")


def test_the_scan_with_one_decay_a_head_is_measured_on_what_fp64_agrees_with() -> None:
    from bench.gpu.ssd import exact, mctc
    from bench.gpu.ssd_inputs import Shape, make
    from bench.gpu.training_runtime import RUNTIME, import_from

    import_from(RUNTIME, "ssd_runtime", "ssd_op")
    inputs = make(Shape(2, 70, 3, 8, 4), torch.float32, seed=1, device="cpu")
    y = mctc(inputs)
    wanted = exact(inputs, RUNTIME)
    found = [y, *torch.autograd.grad(y, inputs.leaves, inputs.dy)]
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-3, atol=1e-4)


def test_mamba_ssm_gets_the_same_frames_first() -> None:
    from bench.gpu.ssd_inputs import Shape, make

    shape = Shape(2, 7, 3, 8, 4)
    inputs = make(shape, torch.float32, seed=1, device="cpu")
    x, delta, _, b, *_ = inputs.leaves
    turned = inputs.frames_first(shape)
    assert turned.leaves[0][1, 5, 2, 6] == x[1, 2 * 8 + 6, 5]
    assert turned.leaves[1][1, 5, 2] == delta[1, 2, 5]
    assert turned.leaves[3][1, 5, 0, 3] == b[1, 3, 5]
    assert turned.dy[1, 5, 2, 6] == inputs.dy[1, 2 * 8 + 6, 5]


def test_the_ratio_of_a_scan_with_one_decay_a_head_is_that_of_the_worst_shape() -> None:
    from bench.gpu.gpu_time import GpuTime
    from bench.gpu.ssd import Measured, verdicts
    from bench.gpu.ssd_inputs import SHAPES

    def measured(index: int, path: str, forward: float, both: float) -> Measured:
        first, second = (GpuTime(each, each, each, 1) for each in (forward, both))
        return Measured(SHAPES[index], path, 0.0, first, second, 1.0)

    found = [
        *(measured(0, "mctc", 1.0, 2.0), measured(0, "mamba", 1.5, 2.0)),
        *(measured(1, "mctc", 1.0, 2.0), measured(1, "mamba", 1.1, 1.8)),
    ]
    forward, both = verdicts(found, "bfloat16")
    assert (forward.measured, forward.met) == ("1.1x", True)
    assert (both.measured, both.met) == ("0.9x", False)
    assert f"{SHAPES[0]} 1.5x" in forward.note
