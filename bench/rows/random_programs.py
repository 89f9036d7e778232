"""The promise of the step derivation on random programs."""

from __future__ import annotations

import re

from bench.process import Command, ProcessError, measure
from bench.row import Row
from bench.setting import Setting

EXAMPLES = 500
PYTEST = "import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"


def rows(setting: Setting) -> list[Row]:
    """tests/streaming, looking at 500 programs over time (and a quarter as many over labels)."""
    tests = setting.root / "tests" / "streaming"
    command: Command = [
        setting.python,
        "-c",
        PYTEST,
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        setting.root / "pyproject.toml",
        tests,
    ]
    environment = {**setting.environment, "MCTC_EXAMPLES": str(EXAMPLES), "PYTHONDONTWRITEBYTECODE": "1"}
    what = f"random chunk lengths, random programs (hypothesis, {EXAMPLES} examples): step equals whole"
    try:
        usage = measure(command, setting.work, environment)
    except ProcessError as error:
        return [Row(what, "all", "not all", False, " ".join(str(error).split()))]
    passed = re.search(r"(\d+) passed", usage.output)
    note = f"tests/streaming: {passed.group() if passed else usage.output[-80:]} in {usage.wall:.0f} s"
    return [Row(what, "all", "all" if passed else "unknown", bool(passed), note)]
