"""What the commands cost that a person waits for."""

from __future__ import annotations

from bench.process import Command, alternate, cpu, spread
from bench.row import Row
from bench.setting import Setting

FACTORS = {"--help": 3, "check": 4}


def rows(setting: Setting) -> list[Row]:
    """CPU time of whole processes against the import of numpy."""
    commands: dict[str, Command] = {
        "numpy": [setting.python, "-c", "import numpy"],
        "--help": [setting.mctc, "--help"],
        "check": [setting.mctc, "check", setting.small],
    }
    times = 2 * setting.pairs + 1
    runs = alternate(commands, times, setting.work, setting.environment)
    ratios = {name: cpu(runs[name]) / cpu(runs["numpy"]) for name in FACTORS}
    note = ", ".join(f"{name} {spread(each)}" for name, each in runs.items())
    return [
        Row(
            '`mctc --help` / `mctc check` CPU time against `python -c "import numpy"`',
            " / ".join(f"≤ {factor}x" for factor in FACTORS.values()),
            " / ".join(f"{ratio:.1f}x" for ratio in ratios.values()),
            all(ratios[name] <= factor for name, factor in FACTORS.items()),
            f"{note}; medians of {times} alternating runs",
        )
    ]
