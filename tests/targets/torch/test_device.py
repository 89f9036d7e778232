"""The choice of a device and the rules of Apple's GPU, on a machine that has none."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import subprocess
import warnings

import pytest
import torch

from mctc.targets.torch.runtime import device as module
from mctc.targets.torch.runtime.device import (
    Running,
    autocast,
    check_fallback,
    limit_memory,
    loader_workers,
    pick_device,
    training_dtype,
    under_rosetta,
    why_not,
)

CPU, MPS, CUDA = torch.device("cpu"), torch.device("mps"), torch.device("cuda")


@pytest.fixture(autouse=True)
def nothing_but_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MCTC_DEVICE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", module.FALLBACK):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def mac(monkeypatch: pytest.MonkeyPatch, machine: str, *, translated: bool, built: bool) -> None:
    def answer(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command == ["sysctl", "-n", "sysctl.proc_translated"]
        return subprocess.CompletedProcess(command, 0, f"{int(translated)}\n", "")

    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(subprocess, "run", answer)
    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: built)


def test_the_best_device_there_is(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert pick_device() == CPU
    assert "not training on cuda: " in caplog.text
    assert "not training on mps: " in caplog.text
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device() == MPS
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device() == torch.device("cuda", 0)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert pick_device() == torch.device("cuda", 3)


def test_a_named_device_is_taken_or_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCTC_DEVICE", "mps")
    with pytest.raises(RuntimeError, match="the device mps was asked for, but MPS is Apple's, and this is no Mac"):
        pick_device()
    assert pick_device("cpu") == CPU
    with pytest.raises(RuntimeError, match="the device meta was asked for, but it is none of cuda, mps, cpu"):
        pick_device("meta")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert why_not("cuda") == "torch sees no CUDA device"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("cuda:1") == torch.device("cuda", 1)


@pytest.mark.parametrize(
    ("machine", "translated", "built", "reason"),
    [
        ("x86_64", True, True, "x86-64 one under Rosetta"),
        ("x86_64", False, False, "built without MPS"),
        ("arm64", False, False, "built without MPS"),
        ("arm64", False, True, "sees no Metal device"),
    ],
)
def test_why_a_mac_has_no_mps(
    monkeypatch: pytest.MonkeyPatch, machine: str, translated: bool, built: bool, reason: str
) -> None:
    mac(monkeypatch, machine, translated=translated, built=built)
    assert under_rosetta() == translated
    assert reason in why_not("mps")


def test_mps_and_cpu_train_in_fp32_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert training_dtype(CPU) == training_dtype(MPS) == torch.float32
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    assert training_dtype(CUDA) == torch.bfloat16
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    assert training_dtype(CUDA) == torch.float32
    x = torch.ones(2, 2)
    for device in (CPU, MPS):
        assert isinstance(autocast(device), contextlib.nullcontext)
    with autocast(CPU):
        assert (x @ x).dtype == torch.float32
    with autocast(CPU, torch.bfloat16):
        assert (x @ x).dtype == torch.bfloat16
    asked = autocast(MPS, torch.float16)
    assert isinstance(asked, torch.autocast)
    assert (asked.device, asked.fast_dtype) == ("mps", torch.float16)


def test_memory_is_limited_on_mps_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ratios: list[float] = []
    monkeypatch.setattr(torch.mps, "set_per_process_memory_fraction", ratios.append)
    limit_memory(CPU)
    limit_memory(CUDA)
    assert ratios == []
    limit_memory(MPS)
    limit_memory(MPS, 1)
    assert ratios == [0.7, 1.0]
    assert all(isinstance(ratio, float) for ratio in ratios)  # torch refuses an int
    with pytest.raises(ValueError, match=r"ratio is 1\.5; it must be above 0 and at most 1"):
        limit_memory(MPS, 1.5)


def test_the_fallback_switch_is_told_of_where_it_hides_something(monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not check_fallback(MPS)
        monkeypatch.setenv(module.FALLBACK, "0")
        assert not check_fallback(MPS)
        monkeypatch.setenv(module.FALLBACK, "1")
        assert not check_fallback(CPU)
    with pytest.warns(RuntimeWarning, match="PYTORCH_ENABLE_MPS_FALLBACK is on: operations that MPS lacks run on"):
        assert check_fallback(MPS)


@pytest.mark.parametrize(
    ("processors", "processes", "workers"), [(1, 1, 1), (8, 1, 4), (10, 1, 5), (64, 1, 8), (64, 8, 4)]
)
def test_workers_leave_processors_for_the_rest(
    monkeypatch: pytest.MonkeyPatch, processors: int, processes: int, workers: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(processors)), raising=False)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    assert loader_workers() == workers
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    assert loader_workers() == workers


def test_a_running_mean_reads_the_device_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    class Watched(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            if function in (torch.Tensor.item, torch.Tensor.__float__, torch.Tensor.cpu, torch.Tensor.__bool__):
                read.append(function.__name__)
            return super().__torch_function__(function, types, args, kwargs or {})

    mean = Running()
    for value, weight in ((1.0, 1), (2.0, 3), (4.0, 4)):
        mean.add(torch.tensor(value, requires_grad=True).as_subclass(Watched), weight)
    assert read == []
    assert mean.value() == pytest.approx(23 / 8)
    assert len(read) == 1


def test_a_running_mean_keeps_no_graph_and_no_half_precision() -> None:
    mean = Running()
    for _ in range(3000):
        mean.add(torch.tensor(1.0, dtype=torch.bfloat16, requires_grad=True))
    assert mean.value() == 1.0
    assert mean._sum is not None
    assert not mean._sum.requires_grad
    mean.reset()
    with pytest.raises(ValueError, match="nothing was added yet"):
        mean.value()
    mean.add(torch.tensor(5.0), torch.tensor(2.0))
    assert mean.value() == 5.0
