"""Whether the commands import torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from bench.row import Row
from bench.setting import Setting

REPORTER = """
import json, sys
from mctc.cli.main import run
code = run(sys.argv[2:])
names = sorted(name for name, module in sys.modules.items() if module is not None)
with open(sys.argv[1], "w") as report:
    json.dump(names, report)
sys.exit(code)
"""


def rows(setting: Setting) -> list[Row]:
    """One process for each command; what it holds in sys.modules when the command is done."""
    spec, built = str(setting.small), str(setting.built)
    wanted: dict[str, Sequence[str]] = {
        "check": [spec],
        "fmt": ["--check", spec],
        "show": [spec],
        "lint": [str(setting.built / "mct_small.mlpackage")],
        "build": [spec, "--target", "ane", "-o", str(setting.work / "imports")],
        "run": [built, "--speech"],
    }
    torch = [name for name, arguments in wanted.items() if "torch" in _modules(setting, [name, *arguments])]
    note = f"looked at {', '.join(wanted)}; torch is {'' if find_spec('torch') else 'not '}installed"
    what = "torch imported by check, fmt, show, lint, build --target ane, run"
    return [Row(what, "never", f"by {', '.join(torch)}" if torch else "never", not torch, note)]


def _modules(setting: Setting, arguments: Sequence[str]) -> set[str]:
    report = setting.work / "modules.json"
    setting.run([setting.python, "-c", REPORTER, report, *arguments])
    return set(json.loads(Path(report).read_text(encoding="utf-8")))
