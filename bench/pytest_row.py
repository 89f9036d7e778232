"""Tests of the tree as a row of the table: run by the measured Python, against the mctc that is installed there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.process import Command, ProcessError, measure
from bench.row import Row
from bench.setting import Setting

PYTEST = "import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"


def row_of_tests(
    setting: Setting, what: str, must: str, tests: Sequence[str], more: Mapping[str, str] | None = None
) -> Row:
    """A row that is met when all of these tests pass. tests: paths from the root, with `::name` if need be."""
    paths = [str(setting.root / test) for test in tests]
    command: Command = [setting.python, "-c", PYTEST, "-q", "-p", "no:cacheprovider", "-c",
                        setting.root / "pyproject.toml", *map(Path, paths)]  # fmt: skip
    environment = {**setting.environment, "PYTHONDONTWRITEBYTECODE": "1", **(more or {})}
    try:
        usage = measure(command, setting.work, environment)
    except ProcessError as error:
        return Row(what, must, "not all", False, " ".join(str(error).split()))
    passed = re.search(r"(\d+) passed", usage.output)
    note = f"{', '.join(tests)}: {passed.group() if passed else usage.output[-80:]} in {usage.wall:.0f} s"
    return Row(what, must, must if passed else "unknown", bool(passed), note)
