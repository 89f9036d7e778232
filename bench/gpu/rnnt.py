"""Checks the transducer loss on a CUDA GPU and measures it beside torchaudio's.

    python -m bench.gpu.rnnt --out rnnt.md
    compute-sanitizer --tool racecheck python -m bench.gpu.rnnt --check-only

Values and gradients are compared with fp64, of each layout and type, over shapes that are ragged, tiny, and wider than
a threadgroup; torchaudio's own are compared too. It needs torch alone (mctc needn't be installed), and torchaudio for
the peer's columns; it exits with 1 when a check fails or a row isn't met.
"""

# ruff: noqa: N806 - the names of the paper

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.gpu.extra_memory import extra_memory
from bench.gpu.gpu_time import gpu_time, wall_time
from bench.gpu.training_runtime import RUNTIME, import_from
from bench.report import markdown
from bench.row import Row

Loss = Callable[[Tensor], Tensor]  # of the logits, per utterance
SPEED = 0.8  # of torchaudio's
TIMED = (16, 250, 60, 500)
LAYOUTS = {-1: "(B, T, U+1, V)", 1: "(B, V, U+1, T)"}
# (batch, frames, labels, classes): tiny, no labels, ragged, one strip and more of the lattice's columns.
CHECKED = (
    (1, 1, 0, 2),
    (2, 1, 3, 5),
    (3, 33, 7, 64),
    (2, 9, 31, 33),
    (2, 40, 64, 300),
    (2, 5, 1023, 3),
    (2, 3, 1100, 3),
)
# Relative, Euclidean norms, against fp64 on the same (rounded) logits.
LOSS_TOLERANCE = 5e-6
GRADIENT_TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-3, torch.bfloat16: 5e-3}
# Logs of probabilities are added in fp32, so the gradient's rounding grows with their size, which is the loss's.
GRADIENT_TOLERANCE_BY_LOSS = 1e-6


@dataclass(frozen=True)
class Batch:
    """What a loss is computed from; logits as (B, T, U+1, V)."""

    logits: Tensor
    targets: Tensor
    frame_lengths: Tensor
    label_lengths: Tensor
    weights: Tensor
    """(B,), of the losses in the sum that is differentiated."""


def make(shape: tuple[int, int, int, int], dtype: torch.dtype, *, full: bool = False) -> Batch:
    """Random logits; lengths random too, but the longest in the first utterance, or in all of them if `full`."""
    B, T, U, V = shape
    torch.manual_seed(sum(shape))
    frame_lengths, label_lengths = torch.randint(1, T + 1, (B,)), torch.randint(0, U + 1, (B,))
    frame_lengths[: B if full else 1], label_lengths[: B if full else 1] = T, U
    logits = torch.randn(B, T, U + 1, V, device="cuda").mul_(2).to(dtype)
    return Batch(
        logits,
        torch.randint(1, V, (B, U)).int().cuda(),
        frame_lengths.int().cuda(),
        label_lengths.int().cuda(),
        torch.rand(B, device="cuda"),
    )


def main(arguments: Sequence[str]) -> int:
    """Exits with 1 when a check fails or a row isn't met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", type=Path, default=RUNTIME, help="a folder with rnnt_loss.py (the source's)")
    parser.add_argument("--check-only", action="store_true", help="measure nothing, as under compute-sanitizer")
    parser.add_argument("--out", type=Path, help="a file for the table")
    given = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        raise SystemExit("this measures on a CUDA GPU, and torch sees none")
    module: Any = import_from(given.runtime, "mct_runtime", "rnnt_loss")
    failed = check(module.rnnt_loss)
    if given.check_only or failed:
        return int(failed)
    rows = measure(module.rnnt_loss)
    text = markdown(rows, torch.cuda.get_device_name())
    print(f"\n{text}")
    if given.out is not None:
        given.out.write_text(text, encoding="utf-8")
    return int(any(row.met is False for row in rows))


def check(rnnt_loss: Any) -> bool:
    """Prints the errors; whether one is too large."""
    failed = False
    for shape in CHECKED:
        for dtype, tolerance in GRADIENT_TOLERANCE.items():
            batch = make(shape, dtype)
            exact = _exact(batch, "cpu")  # few kernels but ours for compute-sanitizer to watch
            most = tolerance + GRADIENT_TOLERANCE_BY_LOSS * float(exact[0].max())
            for dim in LAYOUTS:
                found, again = (_values(lambda logits: _ours(rnnt_loss, logits, batch, dim), batch) for _ in "12")  # noqa: B023
                errors = [_error(one, right) for one, right in zip(found, exact)]
                same = all(torch.equal(one, other) for one, other in zip(found, again))
                bad = not (errors[0] <= LOSS_TOLERANCE and errors[1] <= most and same)
                failed |= bad
                said = f"loss {errors[0]:.1e}, gradient {errors[1]:.1e}{'' if same else ', not repeatable'}"
                print(f"{shape} {dtype} {LAYOUTS[dim]}: {said}{'  TOO MUCH' if bad else ''}", flush=True)
    return failed | _check_refusals(rnnt_loss)


def _check_refusals(rnnt_loss: Any) -> bool:
    """Wrong lengths are NaN, wrong targets inf, the other utterance untouched: nothing is read out of bounds."""
    batch = make((2, 9, 5, 12), torch.float32, full=True)
    right = _ours(rnnt_loss, batch.logits, batch, -1)
    losses = []
    for name, value in {"frame_lengths": 10, "label_lengths": 6, "targets": 1000}.items():
        getattr(batch, name)[1] = value
        losses.append(_ours(rnnt_loss, batch.logits, batch, -1))
        getattr(batch, name)[1] = {"frame_lengths": 9, "label_lengths": 5, "targets": 1}[name]
    kept = all(torch.equal(loss[0], right[0]) for loss in losses)
    told = losses[0][1].isnan() & losses[1][1].isnan() & losses[2][1].isinf()
    print(f"wrong lengths and targets: {'told' if kept and told else 'NOT TOLD'}")
    return not (kept and bool(told))


def measure(rnnt_loss: Any) -> list[Row]:
    """Forward and backward at the shape of issue 3, beside torchaudio where it is installed."""
    batch = make(TIMED, torch.float32, full=True)
    peer = _torchaudio(batch)
    rows = []
    theirs = None
    if peer is not None:
        exact, found = _exact(batch, "cuda"), _values(peer, batch)
        theirs = _time(peer, batch.logits)
        errors = ", ".join(
            f"{name} {_error(one, right):.1e}" for name, one, right in zip(("loss", "gradient"), found, exact)
        )
        rows.append(Row(f"torchaudio, {TIMED}, fp32, forward and backward", "", f"{theirs[0]:.2f} ms", None, errors))
    for dtype in (torch.float32, torch.bfloat16):
        for dim, layout in LAYOUTS.items():
            rows.append(_measure_ours(rnnt_loss, batch, dtype, dim, layout, theirs))
    return rows


def _measure_ours(
    rnnt_loss: Any, batch: Batch, dtype: torch.dtype, dim: int, layout: str, theirs: tuple[float, float] | None
) -> Row:
    same = Batch(batch.logits.to(dtype), batch.targets, batch.frame_lengths, batch.label_lengths, batch.weights)
    logits = same.logits if dim == -1 else same.logits.permute(0, 3, 2, 1).contiguous()

    def loss(laid_out: Tensor) -> Tensor:
        per_utterance: Tensor = rnnt_loss(
            laid_out, batch.targets, batch.frame_lengths, batch.label_lengths, dim=dim, reduction="none"
        )
        return per_utterance

    median, host = _time(loss, logits)
    with torch.no_grad():
        forward = gpu_time([lambda: loss(logits)])
    leaf = logits.detach().requires_grad_()
    memory = extra_memory(lambda: [loss(leaf).sum()], [leaf], torch.ones((), device="cuda"))
    errors = [
        _error(one, right)
        for one, right in zip(_values(lambda x: _ours(rnnt_loss, x, same, dim), same), _exact(same, "cuda"))
    ]
    note = f"forward {forward} ms, with the host {host:.2f} ms, extra memory {memory:.1%}"
    note += f", against fp64 loss {errors[0]:.1e}, gradient {errors[1]:.1e}"
    name = f"mctc, {TIMED}, {layout}, {str(dtype).removeprefix('torch.')}, forward and backward"
    if theirs is None:
        return Row(name, "", f"{median:.2f} ms, nothing beside it", None, note)
    # Both as users meet them, with the host's time.
    ratio = theirs[1] / host
    return Row(name, f"≥ {SPEED}x torchaudio's speed", f"{median:.2f} ms, {ratio:.1f}x", ratio >= SPEED, note)


def _time(loss: Loss, logits: Tensor) -> tuple[float, float]:
    """Milliseconds of a forward and a backward: of the GPU alone, and with the host."""
    leaf = logits.detach().requires_grad_()

    def both() -> None:
        torch.autograd.grad(loss(leaf).sum(), leaf)

    return gpu_time([both]).median, wall_time(both, runs=20)


def _ours(rnnt_loss: Any, logits: Tensor, batch: Batch, dim: int) -> Tensor:
    laid_out = logits if dim == -1 else logits.permute(0, 3, 2, 1).contiguous()
    arguments = (batch.targets, batch.frame_lengths, batch.label_lengths)
    losses: Tensor = rnnt_loss(laid_out, *arguments, dim=dim, reduction="none")
    return losses


def _torchaudio(batch: Batch) -> Loss | None:
    try:
        from torchaudio.functional import rnnt_loss  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except (ImportError, OSError) as error:
        print(f"torchaudio can't be imported: {error}")
        return None
    arguments = (batch.targets, batch.frame_lengths, batch.label_lengths)
    return lambda logits: rnnt_loss(logits, *arguments, blank=0, reduction="none")


def _exact(batch: Batch, device: str) -> tuple[Tensor, Tensor]:
    """The loss and the gradient in fp64, by torch operations alone."""
    reference: Any = sys.modules["mct_runtime.rnnt_loss_reference"]
    cells = batch.logits.to(device, torch.float64), batch.targets.to(device)
    lengths = batch.frame_lengths.to(device), batch.label_lengths.to(device)
    blank, label, rest, total = reference.collapse(*cells, 0)
    loss, alphas = reference.forward(blank, label, *lengths)
    steps = reference.backward(batch.weights.to(device).double(), blank, label, *lengths, alphas, loss)
    gradient: Tensor = reference.collapse_backward(*steps, torch.zeros_like(rest), *cells, rest, total, 0)
    return loss.cuda(), gradient.cuda()


def _values(loss: Loss, batch: Batch) -> tuple[Tensor, Tensor]:
    leaf = batch.logits.detach().requires_grad_()
    found = loss(leaf)
    return found.detach(), torch.autograd.grad((found * batch.weights).sum(), leaf)[0]


def _error(found: Tensor, right: Tensor) -> float:
    return float((found.double() - right).norm() / right.norm())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
