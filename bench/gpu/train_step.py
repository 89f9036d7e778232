"""Measures a training step of an emitted model: how long it takes, and the selective scan's share of the GPU's time.

    python -m bench.gpu.train_step --training BUILD/training
    torchrun --standalone --nproc-per-node 4 -m bench.gpu.train_step --training BUILD/training

A step is forward, backward and AdamW under bf16 autocast. Under torchrun every process has a GPU and a batch of its own
and DistributedDataParallel averages the gradients; `python -m bench.gpu.scaling` starts it for several counts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.profiler import ProfilerActivity, profile

from bench.gpu.training_batch import Batch, Size, draw
from bench.gpu.training_runtime import import_from

SCAN = ("mctc::selective_scan", "mctc::selective_scan_backward")
BATCHES = 4
WARM_UP = 8
PROFILED = 3


@dataclass(frozen=True)
class Step:
    """`milliseconds` of a step: the median on the slowest of `gpus`, with the 10th and the 90th percentile there.

    `scan_share` is the scan's part of the GPU's busy time, forward and backward; None where several GPUs work.
    `busiest` are the operations that take most of it, with their own parts.
    """

    gpus: int
    milliseconds: float
    low: float
    high: float
    audio_per_second: float
    peak_bytes: int
    loss: float
    scan_share: float | None
    busy_share: float | None
    busiest: list[tuple[str, float]]


def main(arguments: Sequence[str]) -> int:
    """Prints what was measured; the first process of several writes it."""
    given = _parser().parse_args(arguments)
    device, rank, count = _join(given.device)
    size = Size(given.utterances, given.seconds, given.labels, given.classes)
    try:
        step = measure(given.training.resolve(), given.model, size, device, rank, count, given.steps, given.compile)
    finally:
        if count > 1:
            distributed.destroy_process_group()
    if rank == 0:
        print(json.dumps(asdict(step), indent=1), flush=True)
        if given.json is not None:
            given.json.write_text(json.dumps(asdict(step)), encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    size = Size()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--training", type=Path, required=True, help="the training/ folder of a build")
    parser.add_argument("--model", default="mct_small", help="the module in it (mct_small)")
    parser.add_argument("--utterances", type=int, default=size.utterances, help="on each GPU (16)")
    parser.add_argument("--seconds", type=float, default=size.seconds, help="of each utterance (15)")
    parser.add_argument("--labels", type=int, default=size.labels, help="of the longest utterance (60)")
    parser.add_argument("--classes", type=int, default=size.classes, help="the labels there are, less the blank (500)")
    parser.add_argument("--steps", type=int, default=40, help="measured steps (40)")
    parser.add_argument("--compile", action="store_true", help="torch.compile the model")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--json", type=Path, help="a file for the figures")
    return parser


def _join(kind: str) -> tuple[torch.device, int, int]:
    """The device, number and count of this process, with torchrun's variables or alone."""
    rank, count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    device = torch.device(kind, int(os.environ.get("LOCAL_RANK", 0))) if kind == "cuda" else torch.device(kind)
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise SystemExit("torch sees no CUDA GPU; --device cpu measures there")
        torch.cuda.set_device(device)
    if count > 1:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return device, rank, count


def measure(
    training: Path, name: str, size: Size, device: torch.device, rank: int, count: int, steps: int, compiled: bool
) -> Step:
    """Trains on random batches. The same on every process of several."""
    take_step = _trainer(_model(training, name, device), device, count, compiled)
    batches = [draw(size, device, seed=BATCHES * rank + index) for index in range(BATCHES)]
    for index in range(WARM_UP):
        take_step(batches[index % BATCHES])
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    times, loss = _times(take_step, batches, steps, device)
    if not torch.isfinite(loss):
        raise SystemExit(f"the loss is {float(loss)} after {WARM_UP + steps} steps")
    figures = _slowest([statistics.median(times), times[len(times) // 10], times[-1 - len(times) // 10]], device, count)
    shares = _shares(take_step, batches, device) if count == 1 else (None, None, [])
    return Step(
        count,
        *figures,
        audio_per_second=count * size.utterances * size.seconds * 1e3 / figures[0],
        peak_bytes=torch.cuda.max_memory_allocated() if device.type == "cuda" else 0,
        loss=float(loss),
        scan_share=shares[0],
        busy_share=None if shares[1] is None else shares[1] / figures[0],
        busiest=shares[2],
    )


def _model(training: Path, name: str, device: torch.device) -> nn.Module:
    module = import_from(training, "training", name)
    made: Callable[[], nn.Module] = getattr(module, "".join(part.capitalize() for part in name.split("_")))
    torch.manual_seed(0)
    return made().to(device).train()


def _trainer(model: nn.Module, device: torch.device, count: int, compiled: bool) -> Callable[[Batch], Tensor]:
    """A step: a batch to its loss."""
    parallel: Any = model
    if count > 1:
        places = [device] if device.type == "cuda" else None
        parallel = DistributedDataParallel(model, device_ids=places, gradient_as_bucket_view=True)
    loss_of: Any = torch.compile(parallel) if compiled else parallel
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=device.type == "cuda")

    def take_step(batch: Batch) -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16):
            loss: Tensor = loss_of(*batch.arguments())
        torch.autograd.backward(loss)
        optimizer.step()
        return loss.detach()

    return take_step


def _times(
    take_step: Callable[[Batch], Tensor], batches: Sequence[Batch], steps: int, device: torch.device
) -> tuple[list[float], Tensor]:
    """Milliseconds from the end of each step to the end of the next, in ascending order, and the last loss."""
    ends = [_now(device)]
    for index in range(steps):
        loss = take_step(batches[index % len(batches)])
        ends.append(_now(device))
    if device.type == "cuda":
        torch.cuda.synchronize()
        return sorted(start.elapsed_time(end) for start, end in pairwise(ends)), loss
    return sorted(1e3 * (end - start) for start, end in pairwise(ends)), loss


def _now(device: torch.device) -> Any:
    if device.type != "cuda":
        return time.perf_counter()
    event: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    event.record()
    return event


def _slowest(figures: list[float], device: torch.device, count: int) -> tuple[float, float, float]:
    """The figures of the process whose median is the largest: it is what the others wait for."""
    found = [torch.tensor(figures, device=device)]
    if count > 1:
        found = [torch.zeros(len(figures), device=device) for _ in range(count)]
        distributed.all_gather(found, torch.tensor(figures, device=device))
    median, low, high = max(each.tolist() for each in found)
    return median, low, high


def _shares(
    take_step: Callable[[Batch], Tensor], batches: Sequence[Batch], device: torch.device
) -> tuple[float, float, list[tuple[str, float]]]:
    """The scan's part of the busy time, the busy milliseconds of a step, and the busiest operations with their parts.

    On a GPU the time of its kernels, on a CPU that of the operations.
    """
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as found:
        for index in range(PROFILED):
            take_step(batches[index % len(batches)])
        if on_gpu:
            torch.cuda.synchronize()
    operations = [each for each in found.key_averages() if each.device_type.name == "CPU"]
    own = {each.key: each.self_device_time_total if on_gpu else each.self_cpu_time_total for each in operations}
    whole = {each.key: each.device_time_total if on_gpu else each.cpu_time_total for each in operations}
    if missing := [name for name in SCAN if name not in whole]:
        raise SystemExit(f"the profiler saw no {', '.join(missing)} in a step")
    busy = sum(own.values())  # microseconds
    busiest = sorted(((key, time / busy) for key, time in own.items()), key=lambda each: -each[1])[:8]
    return sum(whole[name] for name in SCAN) / busy, busy / PROFILED / 1e3, busiest


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
