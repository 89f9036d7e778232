"""Measures `mctc::ssd` beside mamba-ssm's `mamba_chunk_scan_combined` on a CUDA GPU, both checked against fp64 first.

    python -m bench.gpu.ssd --mamba FOLDER --out ssd.md

FOLDER holds the package mamba_ssm, of which its Triton files are enough. Exits with 1 when a row isn't met.
"""

# ruff: noqa: N806 - the names of the paper

from __future__ import annotations

import argparse
import functools
import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from bench.gpu.gpu_time import GpuTime, gpu_time, wall_time
from bench.gpu.scan import describe_gpu
from bench.gpu.ssd_inputs import SHAPES, Inputs, Shape, make, rotation
from bench.gpu.training_runtime import RUNTIME, import_from
from bench.report import markdown
from bench.row import Row

TOLERANCES = {torch.float32: 2e-4, torch.bfloat16: 1e-2}  # relative, of norms; the peer's fp32 products are TF32's
CHUNK = 256  # frames of the peer's chunks, its own default
Scan = Callable[[Inputs], Tensor]


@dataclass(frozen=True)
class Measured:
    """Milliseconds of one path: on the GPU without gradients, and with them; of the host, many back to back."""

    shape: Shape
    path: str
    error: float
    forward: GpuTime
    both: GpuTime
    host: float


def main(arguments: Sequence[str]) -> int:
    """Exits with 1 when a row isn't met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", type=Path, default=RUNTIME, help="a folder with ssd_op.py (the source's)")
    parser.add_argument("--mamba", type=Path, help="a folder with the package mamba_ssm (without: mctc alone)")
    parser.add_argument("--shapes", default="0,1,2,3,4", metavar="0,2", help="which shapes, by number (all)")
    parser.add_argument("--fp32", action="store_true", help="in fp32 (bf16)")
    parser.add_argument("--out", type=Path, help="a file for the tables")
    given = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        raise SystemExit("this measures on a CUDA GPU, and torch sees none")
    dtype = torch.float32 if given.fp32 else torch.bfloat16
    shapes = [SHAPES[int(index)] for index in given.shapes.split(",")]
    found = [one for shape in shapes for one in measure(shape, dtype, given.runtime, given.mamba)]
    rows = verdicts(found, str(dtype).removeprefix("torch."))
    text = f"{table(found)}\n{markdown(rows, describe_gpu())}"
    print(f"\n{text}")
    if given.out is not None:
        given.out.write_text(text, encoding="utf-8")
    return int(any(row.met is False for row in rows))


def measure(shape: Shape, dtype: torch.dtype, runtime: Path, library: Path | None) -> list[Measured]:
    """Both paths on one shape, in turn."""
    import_from(runtime, "mct_runtime", "ssd_op")
    wanted = exact(make(shape, dtype, seed=100), runtime)
    sets = rotation(shape, dtype)
    found = [_measure(shape, "mctc", mctc, make(shape, dtype, seed=100), sets, wanted)]
    if library is not None:
        theirs = [each.frames_first(shape) for each in sets]
        first = make(shape, dtype, seed=100).frames_first(shape)
        right = Inputs(tuple(wanted[1:]), wanted[0]).frames_first(shape)  # y is laid out as dy is
        found.append(_measure(shape, "mamba", mamba(library), first, theirs, [right.dy, *right.leaves]))
    return found


def mctc(given: Inputs) -> Tensor:
    y: Tensor = torch.ops.mctc.ssd(*given.leaves, None, 1, torch.is_grad_enabled())[0]
    return y


def mamba(library: Path) -> Scan:
    """The peer's Triton kernels, without its package's own start, which wants all its CUDA extensions."""
    for name in ("mamba_ssm", "mamba_ssm.ops", "mamba_ssm.ops.triton", "mamba_ssm.utils"):
        if name not in sys.modules:
            sys.modules[name] = package = ModuleType(name)
            package.__path__ = [str(library.joinpath(*name.split(".")).resolve())]
    combined = importlib.import_module("mamba_ssm.ops.triton.ssd_combined").mamba_chunk_scan_combined

    def scan(given: Inputs) -> Tensor:
        x, delta, A, B, C, D = given.leaves
        y: Tensor = combined(x, delta, A, B, C, CHUNK, D=D)
        return y

    return scan


def exact(given: Inputs, runtime: Path) -> list[Tensor]:
    """y and all gradients in fp64."""
    chunked = import_from(runtime, "mct_runtime", "ssd_chunked").chunked
    return _values_and_gradients(lambda i: chunked(*i.leaves, None, 1)[0], given.to(torch.float64))


def _values_and_gradients(scan: Scan, given: Inputs) -> list[Tensor]:
    y = scan(given)
    return [y.detach(), *torch.autograd.grad(y, given.leaves, given.dy)]


def _measure(
    shape: Shape, path: str, scan: Scan, checked: Inputs, sets: Sequence[Inputs], wanted: Sequence[Tensor]
) -> Measured:
    differences = [(a.double() - b).norm() / b.norm() for a, b in zip(_values_and_gradients(scan, checked), wanted)]
    error, dtype = float(torch.stack(differences).max()), checked.dy.dtype
    if not error <= TOLERANCES[dtype]:
        raise SystemExit(f"{path} differs from fp64 on {shape}: {error:.1e} relative")
    with torch.no_grad():
        forward = gpu_time([functools.partial(scan, one) for one in sets])
    both = [functools.partial(_values_and_gradients, scan, one) for one in sets]
    one = Measured(shape, path, error, forward, gpu_time(both), wall_time(both[0]))
    print(f"{shape} {path}: {one.forward} {one.both} ms, error {error:.1e}", flush=True)
    return one


def table(found: Sequence[Measured]) -> str:
    """Every figure, milliseconds."""
    lines = [
        "| (batch, length, heads, width, states) | path | forward | and backward | with the host | error |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.shape} | {one.path} | {one.forward} | {one.both} | {one.host:.3f} | {one.error:.0e} |" for one in found
    ]
    return "\n".join(lines) + "\n"


def verdicts(found: Sequence[Measured], type_: str) -> list[Row]:
    """How many times as fast as the peer, by the worst shape."""
    ours, theirs = ({one.shape: one for one in found if one.path == path} for path in ("mctc", "mamba"))
    rows = []
    for what, time in (("forward", "forward"), ("forward and backward", "both")):
        ratios = {
            shape: getattr(theirs[shape], time).median / getattr(one, time).median
            for shape, one in ours.items()
            if shape in theirs
        }
        if ratios:
            worst = min(ratios.values())
            note = ", ".join(f"{shape} {ratio:.3g}x" for shape, ratio in ratios.items())
            against = f"ssd, {type_}: {what}, against mamba_chunk_scan_combined"
            rows.append(Row(against, "≥ 1x", f"{worst:.3g}x", worst >= 1, note))
    return rows


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
