"""Times the mappings that selective_scan_gpu.py may choose, so that its table can be made from measurements.

    python -m bench.gpu.scan_tune [SHAPE ...]        each an index into scan_inputs.SHAPES

Prints the fastest variants of each shape and pass: lanes, held, steps, SIMD groups; interval, chunks, partials. Those
with time across lanes have the fields of selective_scan_plan.OverLanes.
"""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch

from bench.gpu.gpu_time import gpu_time
from bench.gpu.scan_inputs import SHAPES, Inputs, Shape, rotation
from bench.gpu.training_runtime import RUNTIME, import_from

gpu: Any = import_from(RUNTIME, "runtime", "selective_scan_gpu")
planning: Any = import_from(RUNTIME, "runtime", "selective_scan_plan")
FORWARD = ((4, 4, 16, 4), (4, 4, 8, 4))
OVER_LANES = ((16, 4, 4, 256), (16, 2, 4, 256), (16, 2, 4, 384), (16, 1, 4, 384), (8, 4, 4, 256), (8, 2, 4, 512))
# And the interval.
BACKWARD = ((8, 2, 16, 8, 16), (8, 2, 16, 8, 32), (8, 2, 16, 4, 64), (8, 2, 8, 8, 64), (4, 4, 8, 4, 32))
SHOWN = 6


def inputs_of(one: Inputs) -> tuple[object, ...]:
    return (one.x, one.delta, one.A, one.B, one.C, one.D, one.z, one.delta_bias, None)


def chunked(shape: Shape, chunks: int, interval: int) -> int:
    """Steps of a chunk."""
    return -(-shape.length // chunks // interval) * interval


def plans(shape: Shape, usual: Any, element_size: int) -> Iterator[tuple[str, str, Any]]:
    """Pass, name and plan of each variant that leaves a device enough to do and not far too much."""
    for across in OVER_LANES if element_size == 2 else ():
        yield "forward", f"over lanes {across}", replace(usual, over_lanes=planning.OverLanes(*across))
    usual = replace(usual, over_lanes=None)
    for mapping, chunks, interval in itertools.product(FORWARD, (1, 2, 4, 8, 16, 32), (32, 64)):
        if 8192 <= shape.batch * shape.channels * chunks <= 65536:
            chunk = chunked(shape, chunks, interval)
            changed = {"forward": planning.Mapping(*mapping), "forward_chunk": chunk, "backward_chunk": chunk}
            yield "forward", f"{mapping}; {interval}, x{chunks}", replace(usual, interval=interval, **changed)
    for (*sizes, interval), chunks, rounds in itertools.product(BACKWARD, (1, 2, 3, 4, 8, 16, 32), (1, 2, 4, 8)):
        chosen = planning.Mapping(*sizes)
        blocks = -(-shape.channels // chosen.channels)
        if 64 <= blocks * shape.batch * chunks // rounds * chosen.simdgroups // 8 <= 600 and rounds <= blocks:
            chunk, partials = chunked(shape, chunks, interval), -(-blocks // rounds)
            changed = {"backward": chosen, "forward_chunk": chunk, "backward_chunk": chunk, "partials": partials}
            name = f"{sizes}; {interval}, x{chunks}, {partials}"
            yield "backward", name, replace(usual, interval=interval, **changed)


def calls(way: str, sets: list[Inputs]) -> list[Callable[[], object]]:
    if way == "forward":
        return [functools.partial(gpu.forward, *inputs_of(one), True) for one in sets]
    made: list[Callable[[], object]] = []
    for one in sets:
        _, last, checkpoints = gpu.forward(*inputs_of(one), True)
        made.append(functools.partial(gpu.backward, one.dy, torch.zeros_like(last), *inputs_of(one), checkpoints, True))
    return made


@torch.no_grad()
def main() -> None:
    for shape, dtype in itertools.product(
        [SHAPES[int(each)] for each in sys.argv[1:]] or SHAPES, (torch.float32, torch.bfloat16)
    ):
        sets = rotation(shape, dtype, gated=False)
        usual = gpu.plan(sets[0].x, sets[0].A, sets[0].B)
        times: dict[str, list[tuple[float, str]]] = {"forward": [], "backward": []}
        for way, name, plan in [
            ("forward", "usual", usual),
            ("backward", "usual", usual),
            *plans(shape, usual, dtype.itemsize),
        ]:
            gpu.plan = functools.partial(lambda plan, *_: plan, plan)
            try:
                times[way].append((gpu_time(calls(way, sets), 0.06).median, name))
            except (RuntimeError, SyntaxError) as error:
                print(shape, way, name, str(error)[:200])
        for way, each in times.items():
            shown = [f"{name}: {time:.4f}" for time, name in sorted(each)]
            kept = [text for index, text in enumerate(shown) if index < SHOWN or text.startswith("usual")]
            print(shape, dtype, way, *kept, sep="\n    ", flush=True)


if __name__ == "__main__":
    main()
