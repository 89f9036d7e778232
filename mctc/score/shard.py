"""Which share of the utterances a process takes, where several machines score together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from mctc.diagnostics.errors import UsageError
from mctc.records import dataclass

Each = TypeVar("Each")

TORCHRUN = ("RANK", "WORLD_SIZE")
ARRAY = "SLURM_ARRAY_TASK_"


@dataclass(frozen=True)
class Shard:
    """number: from 1 to count. told: what said so, "" for an option."""

    number: int = 1
    count: int = 1
    told: str = ""

    def of(self, items: Sequence[Each]) -> list[Each]:
        """Every count-th item, beginning with that of the number."""
        return list(items[self.number - 1 :: self.count])

    def named(self, path: Path) -> Path:
        """A file for this share alone: result.json becomes result.2-of-8.json where the environment chose the share,
        since all processes have the same command line then."""
        if not self.told or self.count == 1:
            return path
        return path.with_name(f"{path.stem}.{self.number}-of-{self.count}{path.suffix}")


def asked(text: str | None, environment: Mapping[str, str]) -> Shard:
    """'2/8' as a shard; without, what torchrun and a Slurm array say. Raises UsageError."""
    if text is None:
        return told_by(environment)
    number, slash, count = text.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise UsageError(f"--shard {text}: this is no I/N with I from 1 to N", hint="--shard 2/8")
    return Shard(int(number), int(count))


def told_by(environment: Mapping[str, str]) -> Shard:
    """The share of a rank of torchrun, of a task of a Slurm array, or of a rank in such a task. Raises UsageError for
    numbers that can't be."""
    rank, ranks = _numbers(environment, TORCHRUN) or (0, 1)
    names = [ARRAY + name for name in ("ID", "COUNT", "MIN", "STEP")]
    task, tasks, first, step = _numbers({names[-1]: "1", **environment}, names) or (0, 1, 0, 1)
    at, left = divmod(task - first, max(1, step))
    if not (0 <= rank < ranks and 0 <= at < tasks) or left:
        told = ", ".join(f"{name}={environment[name]}" for name in (*TORCHRUN, *names) if name in environment)
        raise UsageError(f"{told}: these name no share of the work", hint="--shard I/N says which it is; 1/1 is all")
    said = [name for name, count in ((TORCHRUN[0], ranks), (names[0], tasks)) if count > 1]
    return Shard(at * ranks + rank + 1, tasks * ranks, " and ".join(said))


def _numbers(environment: Mapping[str, str], names: Sequence[str]) -> list[int] | None:
    """Of variables that go together; None where one isn't set."""
    if any(not environment.get(name) for name in names):
        return None
    try:
        return [int(environment[name]) for name in names]
    except ValueError as error:
        told = ", ".join(f"{name}={environment[name]}" for name in names)
        raise UsageError(f"{told}: these are no whole numbers", hint="--shard I/N says which share it is") from error
