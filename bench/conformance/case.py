"""What one test of coremltools showed about the evaluator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Program:
    """A program that was evaluated: its op set ("CoreML5" is iOS 15) and the types of its ops."""

    opset: str
    ops: tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """A test that was run.

    test: pytest's name of it, from the folder of op tests on. outcome: "passed", "failed" or "skipped".
    programs: what it had evaluated. reason: what went wrong, or why it was skipped.
    """

    test: str
    outcome: str
    programs: tuple[Program, ...]
    reason: str = ""

    def line(self) -> str:
        """The case as a line of JSON."""
        return json.dumps(asdict(self)) + "\n"


def read_cases(path: Path) -> Iterator[Case]:
    """The cases of a file of such lines."""
    for line in path.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        programs = tuple(Program(each["opset"], tuple(each["ops"])) for each in case["programs"])
        yield Case(case["test"], case["outcome"], programs, case["reason"])
