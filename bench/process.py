"""What whole processes use."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

LAUNCH = Path(__file__).with_name("launch.py")
Command = Sequence[str | Path]


class ProcessError(RuntimeError):
    """A measured command that failed; the message ends with what it printed last."""


@dataclass(frozen=True)
class Usage:
    """cpu: user and system seconds; wall: seconds; peak: resident bytes; output: what it printed."""

    cpu: float
    wall: float
    peak: int
    output: str


def measure(command: Command, cwd: Path, environment: Mapping[str, str], accepted: Collection[int] = (0,)) -> Usage:
    """Runs a command to its end. Raises ProcessError when it exits with a code that isn't accepted."""
    with tempfile.NamedTemporaryFile() as report:
        launched = [sys.executable, "-I", "-S", str(LAUNCH), report.name, *map(str, command)]
        done = subprocess.run(
            launched, cwd=cwd, env=dict(environment), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if done.returncode not in accepted:
            shown = " ".join(map(str, command))
            raise ProcessError(f"`{shown}` failed with {done.returncode}: {done.stdout[-800:]}")
        return Usage(**json.loads(Path(report.name).read_text(encoding="utf-8")), output=done.stdout)


def alternate(
    commands: Mapping[str, Command], times: int, cwd: Path, environment: Mapping[str, str]
) -> dict[str, list[Usage]]:
    """Runs the commands in turn, `times` rounds after one that doesn't count (it warms the disk's cache)."""
    runs: dict[str, list[Usage]] = {name: [] for name in commands}
    for index in range(times + 1):
        for name, command in commands.items():
            usage = measure(command, cwd, environment)
            if index:
                runs[name].append(usage)
    return runs


def cpu(runs: Sequence[Usage]) -> float:
    """Median CPU seconds."""
    return median(run.cpu for run in runs)


def spread(runs: Sequence[Usage]) -> str:
    """'0.91 s (0.90 to 0.97)': the median CPU time and the extremes."""
    seconds = [run.cpu for run in runs]
    return f"{median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"
