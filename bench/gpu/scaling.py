"""Measures a training step on 1, 2 and 4 GPUs, a batch on each: the share of the scan, and how well it scales.

    python -m bench.gpu.scaling --training BUILD/training --gpus 1,2,4 --out train.md

Every count is a torchrun of bench.gpu.train_step. Exits with 1 when a row isn't met.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from bench.gpu.scan import describe_gpu
from bench.gpu.train_step import Step
from bench.report import markdown
from bench.row import Row

SHARE = 0.25  # of the GPU's busy time, at most, in the scan
EFFICIENCY = {4: 0.9}  # at least, by GPUs


def main(arguments: Sequence[str]) -> int:
    """Exits with 1 when a row isn't met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--training", type=Path, required=True, help="the training/ folder of a build")
    parser.add_argument("--gpus", default="1", metavar="1,2,4", help="counts of GPUs, one first (1)")
    parser.add_argument("--out", type=Path, help="a file for the table")
    parser.add_argument("--json", type=Path, help="a file for every figure")
    given, others = parser.parse_known_args(arguments)
    counts = [int(count) for count in given.gpus.split(",")]
    if counts[0] != 1:
        raise SystemExit("--gpus starts with 1, which the others are compared with")
    found = [run(given.training, count, others) for count in counts]
    text = markdown(rows(found), describe_gpu() if torch.cuda.is_available() else "no GPU")
    print(f"\n{text}")
    if given.out is not None:
        given.out.write_text(text, encoding="utf-8")
    if given.json is not None:
        given.json.write_text(json.dumps([vars(step) for step in found], indent=1), encoding="utf-8")
    return int(any(row.met is False for row in rows(found)))


def run(training: Path, count: int, others: Sequence[str]) -> Step:
    """A step on so many GPUs; `others` are further arguments of bench.gpu.train_step."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "step.json"
        launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
        script = ["-m", "bench.gpu.train_step", "--training", str(training), "--json", str(report)]
        if subprocess.run([sys.executable, *launch, *script, *others]).returncode:
            raise SystemExit(f"the training step on {count} GPUs failed; its messages are above")
        return Step(**json.loads(report.read_text(encoding="utf-8")))


def rows(found: Sequence[Step]) -> list[Row]:
    """The scan's share on one GPU, and each further count's efficiency: a step alone over a step among so many."""
    alone, *several = found
    shares: list[Row] = []
    if alone.scan_share is not None and alone.busy_share is not None:
        note = (
            f"{_spread(alone)}, {alone.audio_per_second:.0f} s of speech a second, "
            f"{alone.peak_bytes / 2**30:.1f} GiB at the most, the GPU busy for {alone.busy_share:.0%} of it; "
            f"{', '.join(f'{name} {share:.1%}' for name, share in alone.busiest)}"
        )
        what = "training step: the selective scan's share of the GPU's time"
        shares = [Row(what, f"≤ {SHARE:.0%}", f"{alone.scan_share:.1%}", alone.scan_share <= SHARE, note)]
    return shares + [_efficiency(alone, step) for step in several]


def _efficiency(alone: Step, step: Step) -> Row:
    reached, demand = alone.milliseconds / step.milliseconds, EFFICIENCY.get(step.gpus)
    return Row(
        f"the same step on {step.gpus} GPUs, a batch on each (torchrun, DDP): scaling efficiency",
        "" if demand is None else f"≥ {demand}",
        f"{reached:.3f}",
        None if demand is None else reached >= demand,
        f"{_spread(step)}, {step.audio_per_second:.0f} s of speech a second",
    )


def _spread(step: Step) -> str:
    return f"{step.milliseconds:.1f} ms a step ({step.low:.1f} to {step.high:.1f})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
