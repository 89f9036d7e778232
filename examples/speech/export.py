"""Writes the weights of a run as `mctc build --weights` takes them.

    python -m speech.export RUN -o model.safetensors [--average ema|K]

ema: their running average. K: the mean of the last K checkpoints, 1 for the last one as it is.
"""

from __future__ import annotations

from pathlib import Path

import click
import torch
from safetensors.torch import save_file
from torch import Tensor

from . import checkpoints


def averaged(run: Path, average: str) -> dict[str, Tensor]:
    """The weights of a run by the spec's names. Raises ValueError where there are not so many checkpoints."""
    if average != "ema" and not (average.isdecimal() and int(average)):
        raise ValueError(f"--average is ema or how many checkpoints, from 1, not {average!r}")
    found, count = checkpoints.found(run), 1 if average == "ema" else int(average)
    if not found:
        raise ValueError(f"{run} has no checkpoints: it is no folder of a run, or the run has saved nothing yet")
    if count > len(found):
        raise ValueError(f"{run} has {len(found)} checkpoints, and {count} are asked for")
    contents = [checkpoints.load(path) for path in found[-count:]]
    states = [{**each["model"], **(each["average"] if average == "ema" else {})} for each in contents]
    return {name: _mean([state[name] for state in states]) for name in states[-1]}


def _mean(values: list[Tensor]) -> Tensor:
    last = values[-1]
    return torch.stack(values).mean(0) if last.is_floating_point() else last


@click.command(help=__doc__)
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), default=Path("model.safetensors"))
@click.option("--average", default="ema")
def main(run: Path, out: Path, average: str) -> None:
    try:
        save_file(averaged(run, average), out)
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
