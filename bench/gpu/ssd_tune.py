"""Times the ways to spread the kernels of `mctc::ssd`, so that `ssd_gpu.Tuning` can be made from measurements.

    python -m bench.gpu.ssd_tune [SHAPE ...]        each an index into ssd_inputs.SHAPES

Prints the variants of each shape and pass, the fastest first. Each compiles its kernels when it is met.
"""

from __future__ import annotations

import functools
import itertools
import sys
from dataclasses import replace
from typing import Any

import torch

from bench.gpu.gpu_time import gpu_time
from bench.gpu.ssd import mctc
from bench.gpu.ssd_inputs import SHAPES, Inputs, rotation
from bench.gpu.training_runtime import RUNTIME, import_from

gpu: Any = import_from(RUNTIME, "runtime", "ssd_gpu")
FORWARD: tuple[dict[str, Any], ...] = (
    *({"warps": warps, "stages": stages} for warps, stages in itertools.product((4, 8), (1, 2, 3))),
    *({"frames": 128, "warps": 8, "stages": stages} for stages in (1, 2)),
    {"rows": 32},
    *({"fill": fill} for fill in (1.0, 4.0)),
)
BACKWARD: tuple[dict[str, Any], ...] = (
    *({"frame_warps": warps} for warps in (4, 8)),
    *({"gradient_warps": warps, "gradient_stages": stages} for warps, stages in itertools.product((4, 8), (1, 2))),
    *({"fused": True, "frames": frames} for frames in (32, 64)),
    {"frames": 128, "warps": 8, "stages": 1},
    {"keep": False},
    *({"gradient_fill": fill} for fill in (1.0, 4.0)),
)


def both(given: Inputs) -> None:
    torch.autograd.grad(mctc(given), given.leaves, given.dy)


def forward(given: Inputs) -> None:
    with torch.no_grad():
        mctc(given)


def main() -> None:
    import_from(RUNTIME, "runtime", "ssd_op")
    usual = gpu.TUNING
    for shape in [SHAPES[int(each)] for each in sys.argv[1:]] or SHAPES:
        sets = rotation(shape, torch.bfloat16)
        for call, variants in ((forward, FORWARD), (both, BACKWARD)):
            times: list[tuple[float, dict[str, Any]]] = []
            for changed in ({}, *variants):
                gpu.TUNING = replace(usual, **changed)
                try:
                    times.append((gpu_time([functools.partial(call, one) for one in sets], 0.06).median, changed))
                except Exception as error:  # a variant that asks for more memory than a multiprocessor has
                    print(shape, changed, str(error)[:200])
            shown = [f"{time:.4f} {changed}" for time, changed in sorted(times, key=lambda each: each[0])]
            print(shape, call.__name__, *shown, sep="\n    ", flush=True)


if __name__ == "__main__":
    main()
