"""Times the mappings that selective_scan_gpu.py may choose, so that its table can be made from measurements.

python bench/gpu/scan_tune.py [SHAPE ...]        each an index into scan_inputs.SHAPES
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

import torch
from gpu_time import gpu_time
from scan_inputs import SHAPES, Inputs, Shape, rotation
from training_runtime import RUNTIME, import_from

gpu = import_from(RUNTIME, "runtime", "selective_scan_gpu")
VARIANTS = {"forward": ((4, 4, 16, 4), (4, 4, 16, 2), (4, 4, 16, 8), (4, 4, 8, 4), (8, 2, 16, 4), (8, 2, 16, 8), (2, 8, 8, 4), (16, 1, 16, 8)),
            "backward": ((4, 4, 8, 8), (4, 4, 8, 4), (4, 4, 4, 8), (8, 2, 8, 8), (8, 2, 16, 8), (8, 2, 8, 16), (2, 8, 4, 8))}  # fmt: skip


def arguments(one: Inputs) -> tuple[object, ...]:
    return (one.x, one.delta, one.A, one.B, one.C, one.D, one.z, one.delta_bias, None)


def forward(one: Inputs) -> object:
    return gpu.forward(*arguments(one), True)


def plans(shape: Shape, usual: object) -> Iterator[tuple[str, str, object]]:
    for chunks in (1, 2, 4, 8, 16):
        if shape.batch * shape.channels * chunks > 65536:
            continue
        chunk = -(-shape.length // chunks // 32) * 32
        for way, variants in VARIANTS.items():
            for variant in variants:
                mapping = gpu.Mapping(*variant)
                plan = replace(usual, **{way: mapping}, chunk=chunk)  # type: ignore[type-var]
                if way == "backward":
                    plan = replace(plan, partials=-(-shape.channels // mapping.channels))
                yield way, f"{variant} x{chunks}", plan


@torch.no_grad()
def main() -> None:
    for shape in [SHAPES[int(each)] for each in sys.argv[1:]] or SHAPES:
        sets = rotation(shape, torch.float32, gated=False)
        usual = gpu.plan(sets[0].x, sets[0].A, sets[0].B)
        times: dict[str, list[tuple[float, str]]] = {"forward": [], "backward": []}
        for way, name, plan in plans(shape, usual):
            gpu.plan = lambda *_, plan=plan: plan
            try:
                if way == "forward":
                    calls = [lambda one=one: forward(one) for one in sets]
                else:
                    kept = [(one, forward(one)) for one in sets]
                    calls = [
                        lambda one=one, c=out[2], last=torch.zeros_like(out[1]): gpu.backward(
                            one.dy, last, *arguments(one), c, True
                        )
                        for one, out in kept
                    ]
                times[way].append((gpu_time(calls, 0.1).median, name))
            except (RuntimeError, SyntaxError) as error:
                print(shape, way, name, str(error)[:200])
        for way, each in times.items():
            print(shape, way, "  ".join(f"{name}: {time:.3f}" for time, name in sorted(each)[:12]), flush=True)


if __name__ == "__main__":
    main()
