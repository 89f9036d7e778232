"""Measures the selective scan beside its peers on a CUDA GPU, each checked against fp64 first.

    python -m bench.gpu.scan --mamba PATH/selective_scan_cuda.so --out scan.md --json scan.json

It needs torch alone (mctc needn't be installed) and exits with 1 when a row isn't met. README.md says more.
"""

# ruff: noqa: N806 - the names of the paper

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from bench.gpu.extra_memory import extra_memory
from bench.gpu.gpu_time import GpuTime, gpu_time, wall_time
from bench.gpu.scan_inputs import SHAPES, Inputs, Shape, make, rotation
from bench.gpu.scan_peers import Scan, associative, compiled_associative, loop, mamba
from bench.gpu.training_runtime import RUNTIME, import_from
from bench.report import markdown
from bench.row import Row

PATHS = ("mctc", "mamba", "associative", "compiled", "definition", "loop")
FORWARD_ONLY = ("compiled",)
PLAIN_ONLY = ("associative", "compiled", "definition", "loop")  # measured in fp32 without a gate
LOOPS = ("definition", "loop")
LONG = 4096  # steps; beyond, the gradients of a loop over time are taken for right where shorter ones are
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 1e-2}  # relative, Euclidean norms; of y and of each gradient


@dataclass(frozen=True)
class Case:
    """What is computed: a shape, a type, with or without the gate z."""

    shape: Shape
    dtype: torch.dtype
    gated: bool

    def __str__(self) -> str:
        return f"{self.shape} {str(self.dtype).removeprefix('torch.')}{' gated' if self.gated else ''}"


@dataclass(frozen=True)
class Measured:
    """One path on one case. `host` is the milliseconds of a forward and backward among many back to back."""

    case: Case
    path: str
    error: float
    forward: GpuTime
    both: GpuTime | None = None
    extra: float | None = None
    host: float | None = None


def main(arguments: Sequence[str]) -> int:
    """Exits with 1 when a row isn't met."""
    given = _parser().parse_args(arguments)
    names = given.paths.split(",")
    if unknown := [name for name in names if name not in PATHS]:
        raise SystemExit(f"there are no paths {', '.join(unknown)}; there are: {', '.join(PATHS)}")
    if "mamba" in names and given.mamba is None:
        raise SystemExit("--mamba PATH names mamba-ssm's compiled extension; --paths leaves that peer out")
    if not torch.cuda.is_available():
        raise SystemExit("this measures on a CUDA GPU, and torch sees none")
    torch.backends.cuda.matmul.allow_tf32 = False
    shapes = [SHAPES[int(index)] for index in given.shapes.split(",")]
    found = [one for case in _cases(shapes) for one in _measure(case, names, given.runtime, given.mamba)]
    rows = verdicts(found)
    text = f"{table(found)}\n{markdown(rows, describe_gpu())}"
    print(f"\n{text}")
    if given.out is not None:
        given.out.write_text(text, encoding="utf-8")
    if given.json is not None:
        given.json.write_text(json.dumps([asdict(one) for one in found], default=str, indent=1), encoding="utf-8")
    return int(any(row.met is False for row in rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", type=Path, default=RUNTIME, help="a folder with selective_scan.py (the source's)")
    parser.add_argument("--mamba", type=Path, help="mamba-ssm's compiled extension")
    parser.add_argument("--paths", default=",".join(PATHS), metavar="A,B", help=f"of {', '.join(PATHS)} (all)")
    parser.add_argument("--shapes", default="0,1,2,3,4", metavar="0,2", help="which shapes, by number (all)")
    parser.add_argument("--out", type=Path, help="a file for the tables")
    parser.add_argument("--json", type=Path, help="a file for every figure")
    return parser


def _cases(shapes: Sequence[Shape]) -> Iterator[Case]:
    for shape in shapes:
        for dtype in TOLERANCE:
            for gated in (False, True):
                yield Case(shape, dtype, gated)


def _measure(case: Case, names: Sequence[str], runtime: Path, library: Path | None) -> Iterator[Measured]:
    scans = _scans(runtime, library)
    plain = case.dtype == torch.float32 and not case.gated
    wanted = make(case.shape, case.dtype, gated=case.gated, seed=100)
    exact = _values_and_gradients(scans["definition"](), wanted.to(torch.float64, requires_grad=True))
    inputs = rotation(case.shape, case.dtype, gated=case.gated)
    for name in names:
        if name in PLAIN_ONLY and not plain:
            continue
        try:
            one = _measure_path(case, name, scans[name](), wanted, exact, inputs)
        except torch.cuda.OutOfMemoryError as error:
            print(f"{case} {name}: left out, {str(error).partition('.')[0]}", flush=True)
            continue
        print(f"{case} {name}: {one.forward} {one.both or '-'} ms, error {one.error:.1e}", flush=True)
        yield one


def _scans(runtime: Path, library: Path | None) -> Mapping[str, Callable[[], Scan]]:
    def mctc() -> Scan:
        scan = import_from(runtime, "mct_runtime", "selective_scan").selective_scan

        def with_groups_joined(i: Inputs) -> Tensor:
            B, C = i.B.flatten(1, 2), i.C.flatten(1, 2)  # a view: (Batch, Groups * N, L)
            y: Tensor = scan(i.x, i.delta, i.A, B, C, i.D, i.z, i.delta_bias, softplus=True)[0]
            return y

        return with_groups_joined

    def definition() -> Scan:
        scan = import_from(runtime, "mct_runtime", "selective_scan_reference").sequential
        return lambda i: scan(i.x, i.delta, i.A, i.B, i.C, i.D, i.z, i.delta_bias, softplus=True)[0]

    return {
        "mctc": mctc,
        "definition": definition,
        "mamba": lambda: mamba(library or Path()),
        "associative": lambda: associative,
        "compiled": compiled_associative,
        "loop": lambda: loop,
    }


def _measure_path(
    case: Case, name: str, scan: Scan, wanted: Inputs, exact: list[Tensor], inputs: list[Inputs]
) -> Measured:
    differentiable = name not in FORWARD_ONLY
    error = _error(scan, wanted, exact, differentiable and (name not in LOOPS or case.shape.length <= LONG))
    if not error <= TOLERANCE[case.dtype]:
        raise SystemExit(f"{name} differs from fp64 on {case}: {error:.1e} relative")

    def both(one: Inputs) -> None:
        torch.autograd.grad(scan(one), one.leaves(), one.dy)

    with torch.no_grad():
        forward = gpu_time([lambda one=one: scan(one) for one in inputs])  # type: ignore[misc]
    if not differentiable:
        return Measured(case, name, error, forward)
    first = inputs[0]
    return Measured(
        case,
        name,
        error,
        forward,
        both=gpu_time([lambda one=one: both(one) for one in inputs]),  # type: ignore[misc]
        extra=extra_memory(lambda: [scan(first)], first.leaves(), first.dy) if name in ("mctc", "mamba") else None,
        host=wall_time(lambda: both(first)) if name in ("mctc", "mamba") else None,
    )


def _values_and_gradients(scan: Scan, inputs: Inputs) -> list[Tensor]:
    y = scan(inputs)
    return [y.detach(), *torch.autograd.grad(y, inputs.leaves(), inputs.dy)]


def _error(scan: Scan, wanted: Inputs, exact: list[Tensor], gradients: bool) -> float:
    """The largest relative difference from fp64, of y and, with `gradients`, of each gradient."""
    wanted = wanted.to(requires_grad=True)
    if gradients:
        found = _values_and_gradients(scan, wanted)
    else:
        with torch.no_grad():
            found = [scan(wanted)]
    differences = [(one.double() - right).norm() / right.norm() for one, right in zip(found, exact)]
    return float(torch.stack(differences).max())


def table(found: Sequence[Measured]) -> str:
    """Every figure, milliseconds."""
    lines = [
        "| (batch, length, channels, state) | path | forward | and backward | with the host | memory | error |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in found:
        host = "" if one.host is None else f"{one.host:.3f}"
        extra = "" if one.extra is None else f"{one.extra:.1%}"
        both = "" if one.both is None else str(one.both)
        lines.append(f"| {one.case} | {one.path} | {one.forward} | {both} | {host} | {extra} | {one.error:.0e} |")
    return "\n".join(lines) + "\n"


def verdicts(found: Sequence[Measured]) -> list[Row]:
    """What was demanded, each by its worst shape."""
    rows = []
    for dtype in TOLERANCE:
        name = str(dtype).removeprefix("torch.")
        for gated in (False, True):
            what = f"scan, {name}{', gated' if gated else ''}"
            here = [one for one in found if one.case.dtype == dtype and one.case.gated == gated]
            rows += _ratios(here, "mamba", f"{what}: forward, against mamba-ssm's kernel", 1.0, backward=False)
            rows += _ratios(here, "mamba", f"{what}: forward and backward, against it", 1.0)
            if extra := [(one.case.shape, one.extra) for one in here if one.path == "mctc" and one.extra is not None]:
                worst = max(value for _, value in extra)
                note = ", ".join(f"{shape} {value:.1%}" for shape, value in extra)
                demand = "≤ 25 % of inputs, outputs and their gradients"
                rows.append(Row(f"{what}: extra memory", demand, f"{worst:.1%}", worst <= 0.25, note))
    rows += _ratios(found, "associative", "scan, float32: forward and backward, against torch's associative scan", 20.0)
    rows += _ratios(found, "loop", "the same against the field guide's loop over time", 200.0)
    rows += _ratios(found, "definition", "the same against a loop over unbound steps", None)
    what = "scan, float32: forward, against the compiled pointwise associative scan"
    return rows + _ratios(found, "compiled", what, 1.5, backward=False)


def _ratios(
    found: Sequence[Measured], peer: str, what: str, demand: float | None, *, backward: bool = True
) -> list[Row]:
    """How many times faster mctc is than the peer on its worst shape; the note has all shapes."""

    def times(path: str) -> dict[Case, float]:
        both = {one.case: one.both if backward else one.forward for one in found if one.path == path}
        return {case: time.median for case, time in both.items() if time is not None}

    ours, theirs = times("mctc"), times(peer)
    ratios = {case: theirs[case] / ours[case] for case in ours if case in theirs}
    if not ratios:
        return []
    worst = min(ratios.values())
    note = ", ".join(f"{case.shape} {ratio:.3g}x" for case, ratio in ratios.items())
    met = None if demand is None else worst >= demand
    return [Row(what, "" if demand is None else f"≥ {demand:g}x", f"{worst:.3g}x", met, note)]


def describe_gpu() -> str:
    """The GPU and what drives it; how the figures were taken."""
    gpus = f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"
    return f"{gpus}; medians in one process, the figure of a row is its worst shape's"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
