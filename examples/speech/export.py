"""Writes what `mctc build --weights` takes.

    python -m speech.export RUN -o model.safetensors [--average ema|K]

ema: the running average of the weights. K: the mean of the last K checkpoints, 1 for the last one as it is.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from . import checkpoints

PREFIX = "model."  # of the emitted model's parameters in a run; the others are trained beside it


def averaged(run: Path, average: str) -> dict[str, Tensor]:
    """The weights of a run by the spec's names. Raises ValueError where there are not so many checkpoints."""
    found = checkpoints.found(run)
    count = 1 if average == "ema" else int(average)
    if not 1 <= count <= len(found):
        raise ValueError(f"{run} has {len(found)} checkpoints, and {count} are asked for")
    contents = [checkpoints.load(path) for path in found[-count:]]
    states = [{**each["model"], **(each["average"] if average == "ema" else {})} for each in contents]
    kept = [name for name in states[-1] if name.startswith(PREFIX)]
    return {name.removeprefix(PREFIX): _mean([state[name] for state in states]) for name in kept}


def _mean(values: list[Tensor]) -> Tensor:
    last = values[-1]
    if not last.is_floating_point():
        return last.contiguous()
    return (sum(each.double() for each in values) / len(values)).to(last.dtype).contiguous()  # type: ignore[union-attr]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("model.safetensors"))
    parser.add_argument("--average", default="ema")
    given = parser.parse_args()
    try:
        save_file(averaged(given.run, given.average), given.out)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"wrote {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
