"""The selective scan on a CPU, beside what a training script without a kernel would write."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import TYPE_CHECKING

from bench.row import Row
from bench.setting import Setting

if TYPE_CHECKING:
    from torch import Tensor

    from bench.gpu.scan_inputs import Inputs

THREADS = 2
LOOP, ASSOCIATIVE, TORCH_ONLY = 50, 5, 8  # times as fast
ENOUGH_S, MOST_RUNS = 4.0, 100  # a way is run until it took so long, but at most so often
ARGUMENTS = ("x", "delta", "A", "B", "C", "D", "z", "delta_bias")
SHAPE = (4, 375, 288, 16)  # batch, length (15 s at 25 frames a second), channels, state

Way = Callable[["Inputs"], None]


def rows(setting: Setting) -> list[Row]:
    """Forward and backward of each way in one process, in fp32, gated, on two threads."""
    import torch

    from bench.gpu.scan_inputs import Shape, make

    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        inputs = make(Shape(*SHAPE), torch.float32, gated=True, seed=0, device="cpu").to(requires_grad=True)
        return _rows(_seconds(_ways(), inputs))
    finally:
        torch.set_num_threads(before)


def _rows(seconds: Mapping[str, float]) -> list[Row]:
    shape = "(" + ", ".join(map(str, SHAPE)) + ")"
    scan = f"scan on a CPU, forward and backward, {shape}, {THREADS} threads: "
    gain = {name: seconds[name] / seconds["kernel"] for name in seconds}
    of_torch = seconds["loop"] / seconds["torch only"]
    milliseconds = ", ".join(f"{name} {1e3 * each:.3g}" for name, each in seconds.items())
    return [
        Row(
            f"{scan}the C++ kernel against the field guide's loop / an associative scan",
            f"≥ {LOOP} / ≥ {ASSOCIATIVE} times as fast",
            f"{gain['loop']:.0f} / {gain['associative']:.0f} times",
            gain["loop"] >= LOOP and gain["associative"] >= ASSOCIATIVE,
            f"milliseconds: {milliseconds}; the field guide's loop picks each step by index, which makes its backward "
            "quadratic in the length: against a loop over unbound steps (the definition that the tests use) the "
            f"kernel is {gain['definition']:.0f} times as fast",
        ),
        Row(
            f"{scan}the torch-only form against the field guide's loop",
            f"≥ {TORCH_ONLY} times as fast",
            f"{of_torch:.0f} times",
            of_torch >= TORCH_ONLY,
            f"against the loop over unbound steps {seconds['definition'] / seconds['torch only']:.1f} times as fast",
        ),
    ]


def _ways() -> Mapping[str, Way]:
    from unittest.mock import patch

    from bench.gpu.scan_peers import associative, loop
    from mctc.targets.torch.runtime import selective_scan_chunked, selective_scan_cpu, selective_scan_op

    if not selective_scan_cpu.available():
        raise SystemExit("the scan's rows need a C++ compiler: name one in CXX")

    def torch_only(inputs: Inputs) -> None:
        with patch.object(selective_scan_op, "backend", return_value=selective_scan_chunked) as chosen:
            _train(_operation, inputs)
        if not chosen.called:  # the copy in a build's training folder was imported first, and it holds the operation
            raise SystemExit("the scan's rows come before those that import a training folder")

    return {
        "kernel": lambda inputs: _train(_operation, inputs),
        "torch only": torch_only,
        "definition": lambda inputs: _train(_definition, inputs),
        "associative": lambda inputs: _train(associative, inputs),
        "loop": lambda inputs: _train(loop, inputs),
    }


def _operation(inputs: Inputs) -> Tensor:
    import torch

    given = (getattr(inputs, name) for name in ARGUMENTS)
    y: Tensor = torch.ops.mctc.selective_scan(*given, None, True)[0]
    return y


def _definition(inputs: Inputs) -> Tensor:
    from mctc.targets.torch.runtime.selective_scan_reference import sequential

    return sequential(**{name: getattr(inputs, name) for name in ARGUMENTS}, softplus=True)[0]


def _train(scan: Callable[[Inputs], Tensor], inputs: Inputs) -> None:
    import torch

    for leaf in inputs.leaves():
        leaf.grad = None
    torch.autograd.backward(scan(inputs), inputs.dy)


def _seconds(ways: Mapping[str, Way], inputs: Inputs) -> dict[str, float]:
    """The median of each, run in turn so that a busy moment meets all; the first run of each warms up."""
    for way in ways.values():
        way(inputs)
    runs: dict[str, list[float]] = {name: [] for name in ways}
    while waiting := [name for name, done in runs.items() if sum(done) < ENOUGH_S and len(done) < MOST_RUNS]:
        for name in waiting:
            start = time.perf_counter()
            ways[name](inputs)
            runs[name].append(time.perf_counter() - start)
    return {name: median(done) for name, done in runs.items()}
