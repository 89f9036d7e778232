"""Peak memory of a large build from a checkpoint."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from bench.row import Row
from bench.setting import Setting

SIZES = {"width": 1024, "depth": 44}
FACTOR, ALLOWANCE = 2, 500_000_000  # bytes


def rows(setting: Setting) -> list[Row]:
    """mct_small scaled to 300 M parameters, once as it is quantised in the spec and once all in fp16."""
    checkpoint = setting.work / "large.safetensors"
    parameters = write_checkpoint(setting.small, checkpoint)
    plain = without_quantize(setting.small, setting.work / "plain")
    weights = 2 * parameters
    limit = FACTOR * weights + ALLOWANCE
    found = []
    for spec, how in ((setting.small, "quantised as in the spec"), (plain, "all fp16")):
        sizes = [word for name, value in SIZES.items() for word in ("-D", f"{name}={value}")]
        out = setting.work / "large"
        usage = setting.run([setting.mctc, "build", spec, *sizes, "--weights", checkpoint, "-o", out])
        shutil.rmtree(out)
        note = f"{usage.peak / 1e6:.0f} MB for {weights / 1e6:.0f} MB of weights; {usage.cpu:.0f} s of CPU time"
        found.append(
            Row(
                f"{parameters / 1e6:.0f} M parameters with weights from safetensors, {how}: "
                "peak memory over the size of the fp16 weights",
                f"≤ {FACTOR}x + {ALLOWANCE // 10**6} MB",
                f"{usage.peak / weights:.2f}x",
                usage.peak <= limit,
                note,
            )
        )
    checkpoint.unlink()
    return found


def write_checkpoint(spec: Path, path: Path) -> int:
    """An fp16 checkpoint of the scaled program, its initial weights of seed 0; how many numbers it holds."""
    from safetensors.numpy import save_file

    from mctc.initializers import initialise
    from mctc.language import elaborate_file

    program = elaborate_file(spec, defines=dict(SIZES))
    tensors = {
        name: initialise(name, type_, rule, 0).astype(np.float16) for name, (type_, rule) in program.sources.items()
    }
    save_file(tensors, path)
    return sum(tensor.size for tensor in tensors.values())


def without_quantize(spec: Path, folder: Path) -> Path:
    """A copy of the spec and its library without the `quantize` section."""
    shutil.copytree(spec.parent, folder, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    copy, text = folder / spec.name, spec.read_text(encoding="utf-8")
    before, _, rest = text.partition("    quantize {\n")
    after = rest.partition("\n    }\n")[2]
    copy.write_text(before + after, encoding="utf-8")
    return copy
